"""What comes in: parameters, features, weights, and the user's own validation rows."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from gradstep.checks import (
    check_choice,
    check_finite,
    check_labels,
    check_number,
    check_weights,
    is_one_of,
)
from gradstep.errors import InvalidData, InvalidParameter
from gradstep.estimators.targets import refuse_text
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import CsrRows, DenseRows

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = [
    "check_features",
    "check_parameters",
    "draw_seed",
    "is_checked_by_statistics",
    "rows_of",
    "sample_weight_of",
    "validation_data",
]

_NO_Y, _NO_DEFAULT = object(), object()
_WORTH_A_PASS = 1 << 16  # numbers that take longer to look at than to call what does
_PLAIN_KINDS = "biufU"  # of labels that no check changes
_log = logging.getLogger("gradstep")
# The numbers that are allowed, and what else may stand there.
_NUMBERS: dict[str, tuple[dict[str, Any], *tuple[Any, ...]]] = {
    "alpha": ({"low": 0.0, "finite": True},),
    "l1_ratio": ({"low": 0.0, "high": 1.0}, None),
    "max_iter": ({"low": 1, "whole": True},),
    "tol": ({"low": 0.0}, None),
    "epsilon": ({"low": 0.0},),
    "eta0": ({"low": 0.0, "open_low": True}, None),
    "power_t": ({},),
    "validation_fraction": ({"low": 0.0, "high": 1.0, "open_low": True, "open_high": True},),
    "n_iter_no_change": ({"low": 1, "whole": True},),
    "batch_size": ({"low": 1, "whole": True}, "auto"),
    "verbose": ({"low": 0, "whole": True}, False, True),
    "average": ({"low": 0, "whole": True}, False, True),
}
_CHOICES: dict[str, tuple[Any, ...]] = {
    "last_batch": ("scale", "mean", "drop"),
    "penalty_scale": ("deviation", "unit"),
    "precondition": ("auto", True, False),
    "shuffle": (True, False, "exact", "blocks"),
}


def check_parameters(est: Any) -> None:
    """Refuse wrong numbers and choices; components check their own.

    What is the very object that is our default of the parameter needs no look.
    """
    owner, init = type(est).__name__, type(est).__init__
    ours = init.__module__.startswith("gradstep.")  # a subclass may have others
    defaults = init.__kwdefaults__ or {} if ours else {}
    for name, (span, *others) in _NUMBERS.items():
        value = getattr(est, name)
        if value is defaults.get(name, _NO_DEFAULT):
            continue
        if type(value) in {int, float} or not is_one_of(value, others):
            check_number(owner, name, value, **span)
    if est.penalty == "elasticnet":
        check_number(owner, "l1_ratio", est.l1_ratio, low=0.0, high=1.0)
    _check_choices(owner, est, defaults)
    if est.callbacks is not None and not isinstance(est.callbacks, (list, tuple)):
        msg = f"callbacks={est.callbacks!r} of {owner} must be a list of callbacks, or None."
        raise InvalidParameter(msg)


def _check_choices(owner: str, est: Any, defaults: dict[str, Any]) -> None:
    """Refuse what is none of the values allowed."""
    for name, allowed in _CHOICES.items():
        value = getattr(est, name)
        if value is not defaults.get(name, _NO_DEFAULT) and not (
            name == "shuffle" and callable(value)
        ):
            check_choice(owner, name, value, allowed)
    for name in ("fit_intercept", "early_stopping", "warm_start"):
        if not isinstance(getattr(est, name), (bool, np.bool_, int)):
            msg = f"{name}={getattr(est, name)!r} of {owner} must be True or False."
            raise InvalidParameter(msg)


def draw_seed(random_state: Any) -> int:
    """Return the seed: an int as it is, anything else drawn from once."""
    if isinstance(random_state, (int, np.integer)) and not isinstance(random_state, bool):
        if random_state >= 0:
            return int(random_state)
    elif random_state is None or isinstance(random_state, np.random.RandomState):
        return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    msg = f"random_state={random_state!r} must be a whole number >= 0, a RandomState or None."
    raise InvalidParameter(msg)


def is_checked_by_statistics(X: Any) -> bool:
    """Tell whether `fit` finds what is not finite in the statistics of X, which it takes anyway."""
    return isinstance(X, np.ndarray) and X.dtype.kind == "f" and X.size >= _WORTH_A_PASS


def check_features(
    est: Any, X: Any, *, reset: bool, y: Any = _NO_Y, name: str = "Input X",
    check_values: bool = True, **y_options: Any,
) -> Any:  # fmt: skip
    """Return X (and y) as scikit-learn sees them: float, dense in C order or CSR, finite.

    Without `check_values` X may be not finite. Whether an array y is finite that is of numbers
    (`y_options`) is left to `numbers_of`.
    """
    options: dict[str, Any] = {
        "accept_sparse": "csr",
        "dtype": [np.float64, np.float32],
        "order": "C",
        "ensure_all_finite": False,
        "accept_large_sparse": True,
        "reset": reset,
    }
    as_wanted = _is_as_wanted(est, X, y, reset=reset)
    if y is not _NO_Y and y is not None and not sp.issparse(y) and not (as_wanted and y_options):
        check_labels(np.asarray(y), "Input y")
        if y_options:
            refuse_text(np.asarray(y), "y")
    try:
        if as_wanted:
            checked, est.n_features_in_ = X, X.shape[1]
        elif y is _NO_Y:
            checked = validate_data(est, X, **options)
        else:
            checked, y = validate_data(est, X, y, **options, **y_options)
    except (TypeError, ValueError) as error:
        _point_to_tables(est, X, error)
        raise
    if sp.issparse(checked):
        _check_indices(checked, name)
    # Of a Dask Array, its blocks' workers have looked.
    if check_values and vars(est).get("_finite") is not X:
        check_finite(checked, name, getattr(est, "feature_names_in_", None))
    if checked is not X:
        _tell_of_copy(est, X, checked)
    return checked if y is _NO_Y else (checked, y)


def _is_as_wanted(est: Any, X: Any, y: Any, *, reset: bool) -> bool:
    """Tell whether scikit-learn's checks would return X and y as they are, and say nothing.

    They take as long as a small fit, mostly to find out what kind of data frame an array is.
    """
    if type(X) is not np.ndarray or X.ndim != 2 or not X.size or not X.flags.c_contiguous:
        return False
    if X.dtype not in (np.float64, np.float32):
        return False
    if y is not _NO_Y:
        plain = type(y) is np.ndarray and y.ndim == 1 and y.dtype.kind in _PLAIN_KINDS
        if not plain or y.size != X.shape[0]:
            return False
    known = vars(est)
    return "feature_names_in_" not in known and (reset or known.get("n_features_in_") == X.shape[1])


def _point_to_tables(est: Any, X: Any, error: Exception) -> None:
    """Say which estimator takes a table that has columns of other kinds than numbers."""
    other = _columns_of_text(X)
    if not other:
        return
    name = type(est).__name__
    listed = ", ".join(map(repr, other[:5])) + (", …" if len(other) > 5 else "")
    msg = (
        f"{name} takes numbers, and X has columns that are none: {listed} ({error}). "
        f"gradstep.{name.replace('MiniBatch', 'Table')} takes text, categories, dates and missing "
        "values as they are."
    )
    raise InvalidData(msg) from error


def _columns_of_text(X: Any) -> list[str | int]:
    """Return the columns of a table that are no numbers: by name, of an array by number."""
    if isinstance(X, np.ndarray):
        if X.ndim != 2 or X.dtype.kind not in "OUS":
            return []
        return [j for j in range(X.shape[1]) if any(isinstance(v, (str, bytes)) for v in X[:, j])]
    if hasattr(X, "schema") and hasattr(X, "column_names"):  # pyarrow
        numbers = ("int", "uint", "float", "double", "halffloat", "decimal", "bool")
        return [each.name for each in X.schema if not str(each.type).startswith(numbers)]
    dtypes = getattr(X, "dtypes", None)  # of pandas by column, of Polars a list
    if dtypes is None:
        return []
    return [
        str(name)
        for name, dtype in zip(X.columns, list(dtypes), strict=True)
        if getattr(dtype, "kind", "") not in tuple("biuf")
        and not getattr(dtype, "is_numeric", lambda: False)()
    ]


def _check_indices(X: Any, name: str) -> None:
    """Refuse a CSR matrix with an index outside of it: compiled code does not check."""
    if not CsrRows(X.data, X.indices, X.indptr, X.shape[1]).is_sound():
        msg = (
            f"{name} is a damaged CSR matrix: its indices lie outside of its {X.shape[1]} columns, "
            "or its rows outside of its entries (X.check_format() says more). Build it anew."
        )
        raise InvalidData(msg)


def _shares_memory(X: Any, checked: Any) -> bool:
    if sp.issparse(X):
        return X.format == checked.format and np.shares_memory(X.data, checked.data)
    kinds = set(getattr(X, "dtypes", ()))  # of a frame; if they differ, there was a copy
    if isinstance(X, np.ndarray) or kinds == {checked.dtype}:
        return np.shares_memory(np.asarray(X), checked)
    return False


def _tell_of_copy(est: Any, X: Any, checked: Any) -> None:
    """Say how much memory a converted copy of the data takes."""
    if _shares_memory(X, checked):
        return
    if sp.issparse(checked):
        size = checked.data.nbytes + checked.indices.nbytes + checked.indptr.nbytes
        layout = "compressed sparse rows"
    else:
        size, layout = checked.nbytes, "C order"
    line = f"X was copied to {checked.dtype} in {layout}: {size / 1e6:.1f} MB."
    _log.info(line)
    if est.verbose:
        print(line, file=sys.stderr)  # noqa: T201


def rows_of(X: Any) -> DenseRows | CsrRows:
    """Return the row layout of a checked matrix."""
    if not sp.issparse(X):
        return DenseRows(np.ascontiguousarray(X))
    if not X.has_canonical_format:  # a number in two parts has the square of their sum
        X = X.copy()
        X.sum_duplicates()
    return CsrRows(
        np.ascontiguousarray(X.data),
        X.indices.astype(np.int32, copy=False),
        X.indptr.astype(np.int64, copy=False),
        int(X.shape[1]),
    )


def sample_weight_of(
    sample_weight: Any, n: int, name: str = "sample_weight"
) -> NDArray[np.float64] | None:
    """Return weights as float64 of shape (n,), None if there are none; a number is for all."""
    if sample_weight is None:
        return None
    try:
        weight = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = f"{name} must be {n} numbers, one for each row of X: {error}."
        raise InvalidData(msg) from error
    if weight.ndim == 0:
        weight = np.full(n, float(weight))
    if weight.shape != (n,):
        msg = f"{name} has shape {weight.shape}, but X has {n} rows: it must have shape ({n},)."
        raise InvalidData(msg)
    check_weights(weight, name)
    return np.ascontiguousarray(weight)


def validation_data(
    est: Any, X_val: Any, y_val: Any, weight_val: Any, encode: Callable[[Any], NDArray[np.float64]]
) -> Dataset | None:
    """Return the user's own validation rows as a dataset, None if there are none."""
    if X_val is None and y_val is None:
        if weight_val is not None:
            msg = "sample_weight_val was given without X_val and y_val."
            raise InvalidParameter(msg)
        return None
    if X_val is None or y_val is None:
        msg = "X_val and y_val go together: one was given without the other."
        raise InvalidParameter(msg)
    X = check_features(est, X_val, reset=False, name="X_val")
    y = encode(y_val)
    if y.shape[0] != X.shape[0]:
        msg = f"X_val has {X.shape[0]} rows, but y_val has {y.shape[0]}."
        raise InvalidData(msg)
    return Dataset(rows_of(X), y, sample_weight_of(weight_val, X.shape[0], "sample_weight_val"))
