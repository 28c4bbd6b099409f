"""What is in a picture: boxes, edges and frames, of a graph, of its folded form, of a program."""
