"""Fits with nothing chosen by hand: whether they hold, arrive, and arrive in time."""
