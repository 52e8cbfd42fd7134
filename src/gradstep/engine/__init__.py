"""Training: the loop, its two methods and their states, sums over rows, kernels, callbacks."""
