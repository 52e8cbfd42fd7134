"""What both estimators offer once they are fitted, apart from predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.sparse as sp
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from gradstep.engine.records import Outcome
from gradstep.estimators.sklearn_callbacks import CallbackSupportMixin

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Fitted", "in_shape"]


class Fitted(CallbackSupportMixin):
    """How the last run ended, and the two forms of `coef_`."""

    coef_: Any
    _outcome: str

    def __sklearn_tags__(self) -> Any:
        """Say that sparse X is welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        """Tell whether there are weights: a fit that failed leaves none."""
        return hasattr(self, "coef_")

    @property
    def outcome_(self) -> Outcome:
        """How the last run ended; kept as text, which formats that run no code can store."""
        if "_outcome" not in vars(self):
            msg = f"{type(self).__name__!r} object has no attribute 'outcome_'"
            raise AttributeError(msg)
        return Outcome[self._outcome]

    def sparsify(self) -> Self:
        """Make `coef_` a sparse matrix of shape (n_outputs, n_features).

        Returns
        -------
        self
        """
        check_is_fitted(self)
        if not sp.issparse(self.coef_):
            self.coef_ = sp.csr_matrix(np.atleast_2d(self.coef_))
        return self

    def densify(self) -> Self:
        """Make `coef_` an array again.

        Returns
        -------
        self
        """
        check_is_fitted(self)
        if sp.issparse(self.coef_):
            self.coef_ = in_shape(self, self.coef_.toarray())
        return self


def in_shape(est: Any, coef: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return weights (n_outputs, n_features) in the shape that scikit-learn gives them."""
    flat = isinstance(est, RegressorMixin) and coef.shape[0] == 1 and not est._y_is_2d
    return coef[0] if flat else coef
