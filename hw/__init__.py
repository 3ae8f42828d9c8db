"""The machine: compiler from integer network to memory image, Amaranth components, Verilog."""

if __name__ != "spikewright.hw":
    raise ImportError(f"{__name__!r} is no package of its own: import spikewright.hw")
