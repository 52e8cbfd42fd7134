"""What both estimators offer once they are fitted, apart from predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.sparse as sp
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from gradstep.engine.records import Outcome
from gradstep.errors import InvalidParameter
from gradstep.estimators.inference import inference_of, random_scaling_of
from gradstep.estimators.sklearn_callbacks import CallbackSupportMixin
from gradstep.floating_point import as_by_default
from gradstep.inference.validity import RANDOM_SCALING

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gradstep.inference.estimates import Inference

__all__ = ["Fitted", "in_shape"]


class Fitted(CallbackSupportMixin):
    """How the last run ended, how sure its coefficients are, and the two forms of `coef_`."""

    coef_: Any
    _outcome: str
    _as_in_fit: Any  # from X, y and weights to loss, rows, targets, weights, names of outputs

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

    @as_by_default
    def inference(
        self,
        X: ArrayLike | None = None,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        covariance: str = "robust",
        clusters: ArrayLike | None = None,
    ) -> Inference:
        """Return how sure the coefficients are, from the rows that they were fitted to.

        Parameters
        ----------
        X, y, sample_weight
            What it was fitted to; not for "random_scaling", which needs no row.
        covariance : {"robust", "HC0", "model", "random_scaling"}
            "robust" holds whether or not the loss is the true likelihood; "HC0" is the same
            without the factor n / (n - parameters); "model" supposes that it is. "random_scaling"
            is for averaged iterates (``average=True`` with plain SGD or momentum, rates that fall
            as step**-a with a between 1/2 and 1) after one pass, or after any number of
            `partial_fit` with new rows each time.
        clusters : array of shape (n_rows,) or (n_rows, 2), optional
            Which rows belong together: they may depend on each other. Two columns cluster two
            ways.

        Returns
        -------
        Inference
            Standard errors, tests, intervals; ``frame()`` has them as a table.

        Raises
        ------
        InvalidParameter, InvalidData
            If no such standard errors are valid: under l1, of a loss whose slope jumps, not at
            the optimum, of too few rows; by random scaling, after several passes.

        Notes
        -----
        Of more than two classes, coefficients are taken about their mean over the classes.

        Examples
        --------
        >>> from gradstep import MiniBatchRegressor
        >>> rng = np.random.default_rng(0)
        >>> X = rng.normal(size=(500, 2))
        >>> y = rng.poisson(np.exp(X @ [0.5, 0.0]))
        >>> model = MiniBatchRegressor("poisson", penalty=None, tol=1e-6).fit(X, y)
        >>> print(model.inference(X, y))
        feature      coefficient  std. error       z        p  95 % from       to
        x0                0.4924     0.05075   9.702  < 1e-16     0.3929   0.5918
        x1               0.04338     0.04607  0.9417    0.346   -0.04691   0.1337
        (intercept)     -0.05604      0.0487  -1.151     0.25    -0.1515  0.03941
        """
        check_is_fitted(self)
        if covariance == RANDOM_SCALING:
            given = (X, y, sample_weight, clusters)
            return random_scaling_of(self, rows_given=any(each is not None for each in given))
        if X is None or y is None:
            msg = (
                f"covariance={covariance!r} needs the rows that it was fitted to: inference(X, y). "
                "Averaged iterates may do without: covariance='random_scaling'."
            )
            raise InvalidParameter(msg)
        loss, rows, targets, weight, outputs = self._as_in_fit(X, y, sample_weight)
        return inference_of(
            self, loss, rows, targets, weight, outputs, covariance=covariance, clusters=clusters
        )

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
