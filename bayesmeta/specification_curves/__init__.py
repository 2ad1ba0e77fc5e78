"""One statement under many specifications: their grid, their fits, what they say."""
