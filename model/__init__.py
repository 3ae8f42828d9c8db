"""Training: torch and Brevitas models that compute with the very integers that hardware holds.

Imports `golden` and nothing else of ours. The submodules are imported one by one on purpose:
`model.data` and `model.recipe` need neither torch nor Brevitas, so reading data is quick.
"""
