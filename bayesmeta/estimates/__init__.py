"""Draws of effects on the score scale, and answers. Nothing here imports PyMC or matplotlib."""
