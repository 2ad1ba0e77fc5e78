"""Draws to tables to figures. `plots` imports matplotlib; `summaries` does not."""
