"""The simulators, and how a bench is built and run in them."""
