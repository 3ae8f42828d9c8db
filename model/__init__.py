"""Training: torch and Brevitas models that compute with the very integers that hardware holds.

Imports `spikewright.golden` and nothing else of ours. The submodules are imported one by one on
purpose: reading data or a recipe needs neither torch nor Brevitas, so it is quick.
"""

if __name__ != "spikewright.model":
    raise ImportError(f"{__name__!r} is no package of its own: import spikewright.model")
