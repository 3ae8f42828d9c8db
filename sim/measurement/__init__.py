"""What a simulation measures: cycles against the cycle model, the profile, energy."""
