"""What a claim rests on: single families, missing facts, the prior."""
