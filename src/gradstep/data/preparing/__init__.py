"""A table becomes rows to train on: two passes, a folder."""
