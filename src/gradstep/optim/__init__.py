"""How a step is taken: optimizers and learning rates."""
