"""Differentiable operations: the scan over time, surrogates, quantisers, and their loops."""
