"""Spec and design to a model, twice: as a PyMC graph, and in plain numpy.

A new block of the model touches four files at most: `model/spec.py` (its option and priors),
`design/facts.py` (its arrays), `model/blocks.py` (its part of the graph) and `model/predictor.py`
(its columns and coefficients in numpy).
"""
