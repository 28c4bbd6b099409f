"""Folding: finding the scalars of a graph that do the same thing."""
