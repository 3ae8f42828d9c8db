"""cocotb modules. They run inside the simulator; `sim.runner.run` starts them by name."""

SETTINGS = "SPIKEWRIGHT_BENCH"
"""The environment variable that carries a bench's settings as JSON."""
DEVICE = "SPIKEWRIGHT_DEVICE"
