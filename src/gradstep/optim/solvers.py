"""The automatic optimizers: a preconditioner from the data, no learning rate.

The step follows from the data (`gradstep.engine.automatic.method`). What is here is their names and
hyper-parameters; the formulas stand where they are computed.
"""

from __future__ import annotations

from typing import NamedTuple

from gradstep.checks import check_number

__all__ = ["SVRG", "Exact", "is_automatic"]


class SVRG(NamedTuple):
    """The automatic method: from snapshot to snapshot, to the optimum.

    An epoch takes objective and gradient of all rows, and a step that they decide: a (proximal)
    Newton step for least squares, little data, an l1 penalty or kinks, else a quasi-Newton step,
    which begins with the Hessian of a sample. Under an l1 penalty with too many features for a
    matrix, and one that is known by its proximal map alone, it takes mini-batch steps on a share of
    the rows, corrected by the gradient (stochastic variance-reduced gradients; Johnson and Zhang,
    NIPS 2013).

    Parameters
    ----------
    share : float
        Rows of an epoch's mini-batch steps, over all rows; other steps do without.

    Examples
    --------
    >>> SVRG(share=0.5)
    SVRG(share=0.5)
    """

    share: float = 0.25

    def n_slots(self) -> int:
        """Return 0: nothing is kept for a weight."""
        return 0

    def check(self) -> None:
        """Refuse a share outside (0, 1]."""
        check_number("SVRG", "share", self.share, low=0.0, high=1.0, open_low=True)


class Exact(NamedTuple):
    """The least-squares solution, from the sums of products of all rows.

    Examples
    --------
    >>> Exact()
    Exact()
    """

    def n_slots(self) -> int:
        """Return 0: nothing is kept for a weight."""
        return 0


def is_automatic(optimizer: object) -> bool:
    """Tell whether an optimizer chooses its steps from the data: it takes no learning rate."""
    return isinstance(optimizer, (SVRG, Exact))
