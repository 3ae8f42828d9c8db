"""The mathematics of compression, on arrays: masks, projections, widths, conversion thresholds."""
