"""Synthesis, placement and routing with open tools: how fast a design is, and what it takes."""
