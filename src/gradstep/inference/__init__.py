"""How sure a coefficient is: covariances of fitted parameters, and what follows from them."""
