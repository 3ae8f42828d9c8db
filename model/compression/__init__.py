"""The mathematics of compression, on arrays: which weights to keep, which thresholds convert."""
