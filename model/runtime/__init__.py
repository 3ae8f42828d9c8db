"""Where training runs: devices, processes, memory."""
