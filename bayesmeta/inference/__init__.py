"""Sampling, saving and loading, and checks. PyMC and ArviZ are imported where they are used."""
