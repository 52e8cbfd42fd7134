"""A fitted model: what it predicts, its file, how good it is."""
