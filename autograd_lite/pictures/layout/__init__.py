"""The second stage of a picture: sizes of boxes, labels and frames in (LayoutInput), places out (Layout).

choice.py chooses the engine: Graphviz (by_graphviz.py), or our own layered layout, which is always there. That has
three steps, as Graphviz has: rows.py (which row each box is in), ordering.py (the order within the rows),
coordinates.py (where everything is across and down); layered.py puts them together and draws the curves.
"""
