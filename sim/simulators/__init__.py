"""The simulators Verilator and Icarus: finding them, building benches, running them."""
