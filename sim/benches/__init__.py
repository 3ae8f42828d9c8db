"""cocotb modules. They run inside the simulator, started by name by `sim.simulators.runner`."""

SETTINGS = "SPIKEWRIGHT_BENCH"
"""The environment variable that carries a bench's settings as JSON."""
DEVICE = "SPIKEWRIGHT_DEVICE"
