"""The report and the plots: HTML and SVG, self-contained."""
