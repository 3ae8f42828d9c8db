"""The cycle model: how many cycles the accelerator takes, exactly, without simulating it."""
