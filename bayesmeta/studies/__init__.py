"""Effect sizes of any field: table, design, model."""
