"""What surrounds a design in simulation: generated test benches, stimulus, and captured traces."""
