"""What a run reads: rows in one of four layouts, their targets and weights, their order."""
