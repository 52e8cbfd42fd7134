"""What is read: rows with targets and weights, and their order."""
