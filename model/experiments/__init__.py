"""Experiments: variants of a recipe over seeds, with measurements, records and tables."""
