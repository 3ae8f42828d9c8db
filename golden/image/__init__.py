"""The memory image that the hardware executes: its words, its files, and its interpreter."""
