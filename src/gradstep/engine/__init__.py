"""The loop: row layouts, compiled kernels, state, training, callbacks."""
