"""Training: torch and Brevitas models that compute with the integers of the hardware.

Of the kit, it imports `spikewright.golden` alone. Import the submodules one by one: reading data or
a recipe needs neither torch nor Brevitas, and is quick.
"""

if __name__ != "spikewright.model":
    raise ImportError(f"{__name__!r} is no package of its own: import spikewright.model")
