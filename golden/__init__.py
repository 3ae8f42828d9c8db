"""The contract: integer network, golden models, and the memory image that hardware executes.

Plain Python, NumPy and numba. Nothing here imports `model`, `hw` or `sim`.
"""

if __name__ != "spikewright.golden":
    raise ImportError(f"{__name__!r} is no package of its own: import spikewright.golden")
