"""Compression methods, one file each: options, checks and what each does during training."""
