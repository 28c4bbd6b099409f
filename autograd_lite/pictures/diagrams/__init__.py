"""The first stage of a picture: its boxes, edges and frames, as plain data without places.

diagram.py has the types and the diagram of a graph, one box a Value; grouped.py a box for many, programs.py that of a
Program. collapsed.py and compared.py take a diagram and return another: frames closed, edges bundled, two compared.
"""
