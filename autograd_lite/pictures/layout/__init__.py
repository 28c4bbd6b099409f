"""Where boxes and arrows go: Graphviz, or a layered layout of our own."""
