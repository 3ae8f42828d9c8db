"""The system around the cores: accelerator, registers, load port, AXI."""
