"""Other processes: those that work at the same place, and those that we start.

Nothing here knows what a network is; every part of the kit that writes folders or starts programs
stands on it.
"""
