"""From settings to a model: the plan, and the run."""
