"""The surroundings of a design in simulation: generated benches, stimulus, captured traces."""
