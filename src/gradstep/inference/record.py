"""The covariance of fitted parameters, as a record: `covariance` and `random_scaling` make it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gradstep.engine.blas import one_blas_thread

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Covariance"]


@dataclass(frozen=True)
class Covariance:
    """The covariance of parameters, and what it was made of.

    Attributes
    ----------
    kind : str
        "robust", "HC0", "model", "cluster" or "random_scaling".
    matrix : ndarray of shape (k, q, q), or (1, k·q, k·q) of a joint loss
        In the features' own units; q counts the intercept, which comes last.
    params : ndarray of shape (k, q)
        The parameters; of a joint loss about their mean over the classes.
    undetermined : ndarray of bool, shape (k, q)
        Parameters that others determine, or whose feature is constant.
    n_rows, rank : int
        Rows, and parameters of a block.
    clusters : tuple of int
        How many clusters, each way.
    dispersion : ndarray of shape (k,)
        Pearson's statistic over its degrees of freedom, of a row of mean weight; for squared error
        the variance of the residuals; 1 where the loss has no variance function.
    distance : float
        How many standard errors a parameter lies from the optimum, at most.
    penalised : bool
        Whether a penalty takes part.
    degrees : int or None
        Of freedom, of Student's distribution (squared error): rows less parameters, or clusters
        less one; None where quantiles are the normal distribution's.
    iterates : int
        How many the averages of random scaling are of; 0 of other kinds.
    directions : ndarray of shape (n, k, q) or None
        Ways to change parameters that no score of the rows depended on; None where that is not
        known.
    """

    kind: str
    matrix: NDArray[np.float64]
    params: NDArray[np.float64]
    undetermined: NDArray[np.bool_]
    n_rows: int
    rank: int
    clusters: tuple[int, ...]
    dispersion: NDArray[np.float64]
    distance: float
    penalised: bool
    degrees: int | None
    iterates: int = 0
    directions: NDArray[np.float64] | None = None

    @property
    def standard_errors(self) -> NDArray[np.float64]:
        """Standard errors, shape (k, q); NaN of undetermined parameters."""
        square = np.einsum("bii->bi", self.matrix).reshape(self.params.shape)
        errors: NDArray[np.float64] = np.sqrt(np.maximum(square, 0.0))
        return np.where(self.undetermined, np.nan, errors)

    def unknown(self) -> NDArray[np.float64]:
        """Return what a score must not depend on to have a standard error: (n, q), of outputs.

        Whatever it takes of undetermined parameters, if it is known what rows tell of these
        together; otherwise it may take nothing of them.
        """
        q = self.params.shape[1]
        if self.directions is None:
            return np.eye(q)[self.undetermined.any(axis=0)]
        lines = self.directions.reshape(-1, q)
        return lines[lines.any(axis=1)]

    @cached_property
    def factor(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """F and d, (blocks, size, size) and (blocks, size), with F·diag(d)·Fᵀ = `matrix`.

        d is 1, or -1: what is clustered two ways may have negative eigenvalues.
        """
        size = np.sqrt(np.maximum(np.einsum("bii->bi", self.matrix), 0.0))
        own = np.divide(1.0, size, where=size > 0.0, out=np.zeros_like(size))
        with one_blas_thread():
            values, vectors = np.linalg.eigh(self.matrix * own[:, :, None] * own[:, None, :])
        factor = size[:, :, None] * vectors * np.sqrt(np.abs(values))[:, None, :]
        return factor, np.where(values < 0.0, -1.0, 1.0)
