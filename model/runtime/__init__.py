"""Devices, processes and memory of a training run."""
