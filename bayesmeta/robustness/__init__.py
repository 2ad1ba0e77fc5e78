"""What a claim rests on: single families, undisclosed facts, the prior."""
