"""The integer network: graph, nodes and edges, its file, its widths, and what a run shows."""
