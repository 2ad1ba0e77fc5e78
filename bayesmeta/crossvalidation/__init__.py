"""Models scored on held-out scores: schemes, baselines, scoring rules, folds, the scoreboard."""
