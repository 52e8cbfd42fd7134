"""Measurements of gradstep against its peers, on the machine at hand."""
