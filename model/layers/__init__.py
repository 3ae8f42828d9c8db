"""The layers that a network is composed of: spiking, and the same ones without time."""
