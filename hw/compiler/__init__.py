"""From the integer network to the memory image: lowering, packing, and lanes for each core."""
