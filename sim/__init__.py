"""Simulation: cocotb benches, their runner, the scoreboard, the measured profile and energy.

May import `hw` and `golden`; never `model`.
"""
