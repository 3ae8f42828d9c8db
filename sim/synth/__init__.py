"""Synthesis, placement and routing with open tools: the clock and the area of a design."""
