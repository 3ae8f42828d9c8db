"""The contract: integer network, golden models, and the memory image that hardware executes.

Plain Python, NumPy and numba. Nothing here imports `model`, `hw`, `sim` or `spikewright`.
"""
