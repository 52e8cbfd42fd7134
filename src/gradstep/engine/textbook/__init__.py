"""The textbook method: mini-batches, and a step for each."""
