"""Spec and design to a model, twice: as a PyMC graph, and in plain numpy."""
