"""The preconditioner of a joint loss of many outputs: the Kronecker product of two small matrices.

The Hessian of k outputs and q features has a block of q² numbers for each pair of outputs: the mean
of (∂²loss/∂z_c∂z_d)·x·xᵀ. If the mean of the product is taken for the product of the means, it is
A ⊗ S, with A = mean of ∂²loss/∂z_c∂z_d and S = mean of x·xᵀ (as in Martens and Grosse, "Optimizing
neural networks with Kronecker-factored approximate curvature", ICML 2015). That is inverted through
the eigenvectors of both, q³ + k³ instead of k·q³ or more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradstep.engine.blas import one_blas_thread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.automatic.scaled_problem import ScaledProblem
    from gradstep.engine.automatic.state import Factors

__all__ = ["KroneckerPreconditioner"]

# Eigenvalues that are smaller than this share of the largest count as so large: rounding, columns
# that depend on others in a sample, and the shift of all scores, which softmax does not see.
_LEAST = 1e-7


class KroneckerPreconditioner:
    """A ⊗ S plus the second derivative of the penalty; a function of the problem and of `Factors`.

    Parameters
    ----------
    of : ScaledProblem
        The problem, of which the penalty is used.
    factors : Factors
        S and A.
    """

    def __init__(self, of: ScaledProblem, factors: Factors) -> None:
        features = factors.features
        if not of.problem.fit_intercept:
            features = features.copy()
            features[-1, :] = features[:, -1] = 0.0
        with one_blas_thread():
            of_features, self._features = np.linalg.eigh(features)
            of_outputs, self._outputs = np.linalg.eigh(factors.outputs)
            ridge = of.ridge @ self._features**2
        whole = np.multiply.outer(_raised(of_outputs), _raised(of_features)) + ridge
        with np.errstate(divide="ignore"):
            self._inverse = np.where(whole > 0.0, 1.0 / whole, 0.0)
        self._free = (np.diag(features) > 0.0).astype(np.float64)

    def direction(self, gradient: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the step (k, q) at a gradient (k, q): minus the inverse times the gradient."""
        with one_blas_thread():
            turned = self._outputs.T @ gradient @ self._features
            step = self._outputs @ (turned * -self._inverse) @ self._features.T
        free: NDArray[np.float64] = step * self._free
        return free


def _raised(eigenvalues: NDArray[np.float64]) -> NDArray[np.float64]:
    raised: NDArray[np.float64] = np.maximum(eigenvalues, _LEAST * eigenvalues.max(initial=0.0))
    return raised
