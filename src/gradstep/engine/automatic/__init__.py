"""The automatic method: from snapshot to snapshot, to the optimum."""
