"""How much noise a batch's gradient has, and what that says about the size of a batch.

The simple noise scale of McCandlish, Kaplan, Amodei et al., "An Empirical Model of Large-Batch
Training", arXiv 1812.06162: the variance of a row's gradient, summed over the parameters, over the
squared length of the gradient of all rows, tr(Σ) / |G|². The gradient of that many rows has as much
noise as it has length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradstep.engine.row_sums import RowSums
from gradstep.inference.sums import cluster_sums
from gradstep.rows.dataset import scattered

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.comparing.steps import StepSpace
    from gradstep.rows.dataset import Dataset

__all__ = ["Noise", "noise_at"]

_ROWS, _NUMBERS = 1 << 12, 4_000_000  # of gradients of single rows


@dataclass(frozen=True)
class Noise:
    """The noise of gradients at a point.

    Attributes
    ----------
    variance : float
        tr(Σ), of a row's gradient in the units of the steps.
    square : float
        |G|², of the gradient of all rows.
    rows : int
        How many rows the variance was estimated from.
    """

    variance: float
    square: float
    rows: int

    @property
    def scale(self) -> float:
        """The simple noise scale, in rows; infinite where the gradient is zero."""
        return self.variance / self.square if self.square > 0.0 else np.inf

    def of_batch(self, rows: int) -> float:
        """Return the variance of the gradient of so many rows over the squared length of all's."""
        return self.scale / rows


def noise_at(space: StepSpace, data: Dataset, params: NDArray[np.float64]) -> Noise:
    """Return the noise of gradients at parameters, the variance from a sample of the rows."""
    with RowSums(data, space.k) as rows:
        gradient = space.gradient(rows, params)
    enough = max(2, min(_ROWS, _NUMBERS // params.size))
    sample = data.select(scattered(data.n, enough))
    each = cluster_sums(
        sample, space.problem.loss, space.k, params, np.arange(sample.n, dtype=np.intp)
    )
    own = space.gradients(each / data.mean_weight)
    variance = float(own.var(axis=0, ddof=1 if sample.n > 1 else 0).sum())
    return Noise(variance, float(gradient @ gradient), sample.n)
