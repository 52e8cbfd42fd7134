"""Least squares straight from a table: fitted by the pass that learns what the table holds."""
