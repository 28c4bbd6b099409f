"""From a diagram to a file: the scene of shapes, and writers of SVG, DOT, PNG, PDF and HTML."""
