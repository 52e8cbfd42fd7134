"""Whole fits beside the strongest solvers that there are, at equal objective."""
