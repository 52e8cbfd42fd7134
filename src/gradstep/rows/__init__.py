"""What a run reads: rows in one of three layouts, their targets and weights, their order."""
