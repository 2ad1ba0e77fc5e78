"""Tables to labelled arrays: decisions, outcomes, composition, matrix. No PyMC."""
