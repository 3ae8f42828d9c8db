"""Random networks for tests, and which corners of the contract they visit."""
