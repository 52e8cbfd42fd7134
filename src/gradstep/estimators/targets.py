"""What y comes to: numbers, or classes as codes, with the weights that classes have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_array, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from gradstep.checks import check_finite, check_labels, check_number, check_weights
from gradstep.errors import InvalidData, InvalidParameter
from gradstep.objective.classification import gives_probabilities
from gradstep.objective.losses import TargetRange, target_range

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "check_kind_of_classes",
    "check_targets",
    "class_weights",
    "classes_of",
    "classes_to_come",
    "codes_of",
    "has_probabilities",
    "numbers_of",
    "refuse_text",
]


# Labels that scikit-learn's check does not count, and the largest number that is surely a label.
_FEW_LABELS, _MOST_LABEL = 20, 2.0**31
_CLASSIFIER = "MiniBatchClassifier"


def numbers_of(y: Any, name: str, classifier: str = _CLASSIFIER) -> NDArray[np.float64]:
    """Return targets that are numbers as (n, k) float64; of text, name who predicts classes."""
    if type(y) is np.ndarray and y.dtype.kind in "iuf" and y.ndim and y.size:
        y = y.astype(np.float64, copy=False)
    else:
        refuse_text(np.asarray(y), name.removeprefix("Input "), classifier)
        y = check_array(
            y, ensure_2d=False, dtype=np.float64, ensure_all_finite=False, input_name=name
        )
    if y.ndim > 2:
        msg = f"{name} has {y.ndim} dimensions; it must have one, or two for several targets."
        raise InvalidData(msg)
    check_finite(y, name, missing="Drop those rows.")
    columns: NDArray[np.float64] = np.ascontiguousarray(y.reshape(y.shape[0], -1))
    return columns


def refuse_text(y: NDArray[Any], name: str, classifier: str = _CLASSIFIER) -> None:
    """Refuse targets with text that is no number, where numbers are predicted."""
    if y.dtype.kind not in "OUS":
        return
    try:
        y.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        for at, value in np.ndenumerate(y):
            if isinstance(value, str | bytes) and not _is_number(value):
                column = f", column {at[1]}" if len(at) > 1 else ""
                place = f" (row {at[0]}{column})" if at else ""
                msg = (
                    f"{name} must be numbers: could not convert {_plain(value)!r}{place}. "
                    f"{classifier} predicts classes."
                )
                raise InvalidData(msg) from error


def _is_number(text: str | bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _plain(text: str | bytes) -> str | bytes:
    """Return text of NumPy's types as Python's, which is written without their name."""
    return bytes(text) if isinstance(text, bytes) else str(text)


def check_targets(
    loss: Any,
    y: NDArray[np.float64],
    weight: NDArray[np.float64] | None,
    label: str = "y",
    *,
    part: bool = False,
) -> None:
    """Refuse targets outside the loss's range, and ones that leave nothing to learn.

    Parameters
    ----------
    loss : Loss
        The loss.
    y : ndarray of shape (n, k)
        Targets.
    weight : ndarray of shape (n,), optional
        Weights; rows without weight may have any target.
    label : str
        What to call the targets.
    part : bool
        Whether they are one part of a stream, which may hold nothing but zeros.
    """
    allowed = target_range(loss)
    if allowed == TargetRange():
        return
    wrong = ~allowed.holds(y)
    if weight is not None:
        wrong &= weight[:, None] > 0.0
    if wrong.any():
        row, column = (int(i) for i in np.argwhere(wrong)[0])
        where = f"row {row}" if y.shape[1] == 1 else f"row {row}, column {column}"
        name = type(loss).__name__
        msg = (
            f"loss {name} is defined for {allowed!r}, but {label} is {y[row, column]:g} at {where} "
            f"({int(wrong.sum())} such values). Remove those rows, or use another loss."
        )
        raise InvalidData(msg)
    counted = y if weight is None else y[weight > 0.0]
    if not part and allowed.low == 0.0 and allowed.closed and not (counted > 0.0).any(axis=0).all():
        msg = (
            f"loss {type(loss).__name__} models the logarithm of the mean, but every {label} is 0 "
            "in the rows that have weight: there is no finite model of such targets."
        )
        raise InvalidData(msg)


def check_kind_of_classes(y: Any) -> NDArray[Any] | None:
    """Refuse labels that are numbers to be predicted, as scikit-learn does.

    Its check takes up to a fifth of a small fit: it is left out where labels can only be classes.
    Returns the distinct labels, if it took them to tell.
    """
    if type(y) is np.ndarray and y.ndim == 1 and y.dtype.kind in "biufU":
        may_be_numbers = y.dtype.kind == "f"
        if y.size <= _FEW_LABELS and not may_be_numbers:
            return None
        distinct: NDArray[Any] = np.unique(y)
        if may_be_numbers and (np.abs(distinct) < _MOST_LABEL).all():  # so none is missing
            may_be_numbers = bool((distinct % 1).any())
        if not may_be_numbers and 2 * distinct.size <= y.size:
            return distinct
    check_classification_targets(y)
    return None


def classes_of(
    y: Any, name: str, weight: NDArray[np.float64] | None = None,
    distinct: NDArray[Any] | None = None,
) -> NDArray[Any]:  # fmt: skip
    """Return the classes of the rows that weigh anything, in order; one alone is refused.

    `distinct` are those of all rows, if they are known.
    """
    if weight is not None:
        classes: NDArray[Any] = np.unique(np.asarray(y)[weight > 0.0])
    else:
        classes = np.unique(np.asarray(y)) if distinct is None else distinct
    if len(classes) < 2:
        which = name if weight is None else f"{name}, in the rows of weight above 0,"
        msg = (
            f"{which} has one class, {classes.tolist()!r}: a classifier needs at least two classes."
        )
        raise InvalidData(msg)
    return classes


def classes_to_come(est: Any, classes: Any) -> NDArray[Any]:
    """Return all classes of a stream: those given in the first call of partial_fit."""
    first = not hasattr(est, "coef_")
    if first and classes is None:
        msg = "classes must be given in the first call of partial_fit: all that will come."
        raise InvalidParameter(msg)
    if first:
        return classes_of(classes, "classes")
    known: NDArray[Any] = est.classes_
    if classes is not None and not np.array_equal(known, np.unique(classes)):
        msg = (
            f"classes={np.unique(np.asarray(classes)).tolist()!r} differs from that of the "
            f"first call, {known.tolist()!r}."
        )
        raise InvalidParameter(msg)
    return known


def codes_of(y: Any, classes: NDArray[Any], name: str) -> NDArray[np.intp]:
    """Return the index of each label among the classes."""
    y = np.asarray(y)
    check_labels(y, name)
    kinds = {y.dtype.kind, classes.dtype.kind}
    if len(kinds) == 2 and "U" in kinds:
        codes: NDArray[np.intp] = np.zeros(y.shape, np.intp)
        unknown = np.ones(y.shape, bool)
    else:
        codes = np.searchsorted(classes, y).clip(max=len(classes) - 1)
        unknown = classes[codes] != y
    if unknown.any():
        row = int(np.argmax(unknown))
        label = y[row].item() if isinstance(y[row], np.generic) else y[row]
        msg = (
            f"{name} has the class {label!r} at row {row}, which is not among the classes "
            f"{classes.tolist()!r} ({int(unknown.sum())} such rows)."
        )
        raise InvalidData(msg)
    return codes


def has_probabilities(est: Any) -> bool:
    """Tell whether the loss gives probabilities; the reason if not is the error's text."""
    if gives_probabilities(est._loss()):
        return True
    msg = (
        f"predict_proba needs a loss that gives probabilities; loss={est.loss!r} does not. "
        "Use loss='log_loss' or 'modified_huber'."
    )
    raise AttributeError(msg)


def class_weights(
    est: Any, codes: NDArray[np.intp], weight: NDArray[np.float64] | None, *, incremental: bool
) -> NDArray[np.float64] | None:
    """Return the rows' weights times those of their classes, None if all are 1."""
    if est.class_weight is not None:
        counted = codes if weight is None else codes[weight > 0.0]
        each = _weight_of_each(est, counted, incremental=incremental)
        weight = each[codes] * (1.0 if weight is None else weight)
        check_weights(weight, "sample_weight times class_weight")
    if not incremental and weight is not None and np.unique(codes[weight > 0.0]).size < 2:
        msg = "All rows of weight above 0 are of one class; at least two classes are needed."
        raise InvalidData(msg)
    return weight


def _weight_of_each(est: Any, codes: NDArray[np.intp], *, incremental: bool) -> NDArray[np.float64]:
    """Return the weight of each class that `class_weight` asks for."""
    class_weight, classes = est.class_weight, est.classes_
    if incremental and class_weight == "balanced":
        msg = (
            "class_weight='balanced' needs all rows at once, which partial_fit has not. "
            "Compute it with sklearn.utils.compute_class_weight and pass it as a dict."
        )
        raise InvalidParameter(msg)
    if not isinstance(class_weight, dict) and class_weight != "balanced":
        msg = f"class_weight={class_weight!r} must be a dict, 'balanced' or None."
        raise InvalidParameter(msg)
    if isinstance(class_weight, dict):
        for label, number in class_weight.items():
            check_number(type(est).__name__, f"class_weight[{label!r}]", number, low=0.0)
    if incremental:
        return np.array([class_weight.get(label, 1.0) for label in classes.tolist()])
    each: NDArray[np.float64] = compute_class_weight(
        class_weight, classes=classes, y=classes[codes]
    )
    return each
