"""Simulation: cocotb benches, their runner, the scoreboard, the measured profile and energy.

May import `spikewright.hw` and `spikewright.golden`; never `spikewright.model`.
"""

if __name__ != "spikewright.sim":
    raise ImportError(f"{__name__!r} is no package of its own: import spikewright.sim")
