"""Two programs that compute an integer network, written independently: reference and engine."""
