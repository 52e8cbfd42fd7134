"""The plan of an estimator's fit, of rows measured for it; what is refused on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradstep.checks import check_finite
from gradstep.errors import InvalidData
from gradstep.fit.plan import Settings, plan, with_moments

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gradstep.fit.plan import Plan
    from gradstep.rows.dataset import Dataset

__all__ = ["planned"]


def planned(
    est: Any, loss: Any, data: Dataset, n_outputs: int, stored_in: NDArray[np.float64] | None,
    unchecked: NDArray[Any] | None,
) -> tuple[Dataset, Plan]:  # fmt: skip
    """Return the rows, perhaps measured, and the plan; refuse an unchecked X that is not finite.

    Statistics of columns are refused if they are not. They are of the rows that are trained on, but
    for those that weigh nothing.

    Parameters
    ----------
    est : MiniBatchRegressor or MiniBatchClassifier
        The estimator.
    loss, data, n_outputs, stored_in
        As of `gradstep.fit.plan.plan`.
    unchecked : ndarray of shape (n_rows, n_features), optional
        The X that was given, unless it is known to be finite.

    Raises
    ------
    InvalidData
        If X is not finite, or squares of a column are beyond floating-point numbers.
    """
    settings = Settings.of(est)

    def check() -> None:
        if unchecked is not None:
            check_finite(unchecked, "Input X", getattr(est, "feature_names_in_", None))

    if unchecked is not None and data.n < len(unchecked):
        check()
    try:
        data = with_moments(settings, loss, data, n_outputs)
        chosen = plan(settings, loss, data, n_outputs, stored_in=stored_in)
    except InvalidData:
        check()
        raise
    if chosen.columns is None:
        check()
    return data, chosen
