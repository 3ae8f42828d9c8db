"""cocotb test benches: they run inside the simulator, where `sim.simulators.runner` starts them."""

SETTINGS = "SPIKEWRIGHT_BENCH"
"""The environment variable that holds a bench's settings as JSON."""
DEVICE = "SPIKEWRIGHT_DEVICE"
STALL = "SPIKEWRIGHT_STALL"
"""The environment variable that carries the percentage of cycles in which a stream pauses."""
