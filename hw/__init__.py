"""The machine: compiler from integer network to memory image, Amaranth components, Verilog."""
