"""From what was asked to a model: the plan, and the run."""
