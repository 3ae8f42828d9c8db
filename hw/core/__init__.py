"""A core and its parts: everything that computes one node of the network."""
