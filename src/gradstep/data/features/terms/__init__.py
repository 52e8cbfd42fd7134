"""Terms of a table: curves, crosses, powers and logarithms of its columns (docs/adr/0019)."""
