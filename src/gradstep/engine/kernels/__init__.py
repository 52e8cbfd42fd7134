"""The compiled loops of training: what they sum, step and search."""
