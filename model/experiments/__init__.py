"""Experiments: recipes in variants, over seeds, with their measurements, tables and records."""
