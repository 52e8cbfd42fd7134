"""Which columns matter, a model's coefficients, and what they say in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.data.features.sparse_encoding import SparseEncoding
from gradstep.data.features.terms.spline import SplineColumn
from gradstep.data.roles import written
from gradstep.figures import number
from gradstep.model.training_rows import parts_of
from gradstep.objective.classification import LogLoss, Softmax
from gradstep.objective.regression import Pinball

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from gradstep.data.features.encoding import Encoding
    from gradstep.model.model import Model
    from gradstep.model.training_rows import Part, TrainingRows

__all__ = [
    "BELOW_ZERO",
    "coefficients",
    "curve_in_words",
    "estimate_of",
    "importance",
    "in_words",
    "intercepts_in_words",
    "nonzero",
    "points_of_curves",
    "references_of",
]

BELOW_ZERO = "below 0, a column's part works against those of others, and scores vary less with it"
_POINTS = 5  # of a curve
_INTERCEPTS = 10
_TOLD = 1e-3  # the least size of an exponent whose factor is told of one unit
_MOST_UNITS = 10**9


def nonzero(model: Model) -> int:
    """Return how many coefficients are not zero."""
    return int(np.count_nonzero(model.params[: model.coef_.size]))


def _scaled(model: Model) -> NDArray[np.float64]:
    """Return the coefficients of encoded features; of several classes, about their mean."""
    k = model.n_outputs
    scaled = model.params[:-k].reshape(k, -1)
    return scaled - scaled.mean(axis=0) if k > 1 else scaled


def importance(model: Model) -> list[dict[str, Any]]:
    """Return each column's share of the variance of the score, the largest first.

    All features of a column count together: a number and what stands for missing, all levels,
    all that a date became. Shares are covariances of the column's part with the score, so they
    add up to 1; one that works against the others may be below 0.

    Parameters
    ----------
    model : Model
        The model; one of sparse text, or from a file of before gradstep kept what its training
        rows were like, has no shares.

    Returns
    -------
    list of dict
        ``column``; ``share``; ``deviation``, the standard deviation of the column's part of the
        score, with the coefficient's sign where the column is a number, and ``sign`` (0 of
        others). For more than two classes ``classes`` instead: the deviation for each, signed
        alike; the share is that in the scores of all, about their mean.
    """
    rows = model.training
    if rows is None or isinstance(model.encoding, SparseEncoding):
        return []
    deviations, scaled = np.sqrt(rows.variances), _scaled(model)
    shares = _shares_of_columns(rows)
    found = []
    for c, (column, part) in enumerate(parts_of(model.encoding).items()):
        signed = _is_line(model.encoding, part)
        sign = np.sign(scaled[:, part.numbers[0]]) if signed else np.ones(model.n_outputs)
        each = (np.where(sign < 0.0, -1.0, 1.0) * deviations[c]).tolist()
        entry: dict[str, Any] = {"column": column, "share": float(shares[c])}
        if model.n_outputs == 1:
            entry |= {"deviation": each[0], "sign": int(sign[0]) if signed else 0}
        else:
            entry["classes"] = dict(zip(model.target.names, each, strict=True))
        found.append(entry)
    return sorted(found, key=lambda entry: -abs(entry["share"]))


def _is_line(encoding: Encoding, part: Part) -> bool:
    """Tell whether a column's part goes up, or down, with a number: its sign says which."""
    numbers = [j for j in part.numbers if j < len(encoding.numbers)]
    return len(numbers) == 1 and not part.codes and not part.places


def _shares_of_columns(rows: TrainingRows) -> NDArray[np.float64]:
    covariances = np.array(rows.covariances).sum(axis=1)
    total = covariances.sum()
    shares: NDArray[np.float64] = covariances / (total if total > 0.0 else 1.0)
    return shares


def _shares(model: Model) -> NDArray[np.float64]:
    """Return what each feature has of its column's share; its size, if the rows are unknown."""
    rows, encoding, scaled = model.training, model.encoding, _scaled(model)
    if rows is None or isinstance(encoding, SparseEncoding):
        own = model.params[: -model.n_outputs].reshape(model.n_outputs, -1)
        size: NDArray[np.float64] = np.abs(own).max(axis=0)
        return size
    found: NDArray[np.float64] = (scaled**2).sum(
        axis=0
    )  # of a hashed column, whose levels are not counted
    found[: encoding.n_values] *= np.square(rows.deviations)
    for q, levels in enumerate(map(np.array, rows.levels)):
        if levels.size:
            span = slice(encoding.starts[q], encoding.starts[q + 1])
            apart = scaled[:, span] - (scaled[:, span] @ levels)[:, None]
            found[span] = levels * (apart**2).sum(axis=0)
    for q, squares in enumerate(map(np.array, rows.squares), start=len(rows.levels)):
        found[encoding.starts[q] : encoding.starts[q + 1]] *= squares
    shares = np.abs(_shares_of_columns(rows)).tolist()
    for part, share in zip(parts_of(encoding).values(), shares, strict=True):
        of = [j for span in part.features for j in range(span.start, span.stop)]
        found[of] *= share / (found[of].sum() or 1.0)
    return found


def references_of(model: Model) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return for each feature the most frequent level of its category, and whether there is one."""
    encoding: Any = model.encoding
    found = np.arange(encoding.n_features)
    leveled = np.zeros(encoding.n_features, bool)
    for q, shares in enumerate(model.training.levels if model.training is not None else ()):
        if shares:
            span = slice(encoding.starts[q], encoding.starts[q + 1])
            found[span] = encoding.starts[q] + int(np.argmax(shares))
            leveled[span] = True
    return found, leveled


def coefficients(
    model: Model, most: int | None = None, *, references: bool = True, curves: bool = True
) -> list[dict[str, Any]]:
    """Return the coefficients in the columns' own units, those of important features first.

    Parameters
    ----------
    model : Model
        The model.
    most : int, optional
        How many to return.
    references : bool
        Whether those of the most frequent levels are among them, against which others are told.
    curves : bool
        Whether those of curves are among them, of which `points_of_curves` says more.

    Returns
    -------
    list of dict
        ``feature``, ``coefficient``; ``importance``, what it has of its column's share of the
        variance of the score (of a model whose training rows are unknown, the effect's size); of
        levels ``against``, the most frequent one, and ``difference`` from it; ``class`` of more
        than two, and of softmax ``centred`` (about the mean of the classes).
    """
    encoding, k = model.encoding, model.n_outputs
    own, shares = model.coef_, _shares(model)
    reference, leveled = references_of(model)
    labels: Sequence[Any] = [None] if k == 1 else list(model.target.classes or ())
    differences = own - own[:, reference]
    centred = np.where(leveled, differences, own)
    centred = centred - centred.mean(axis=0)
    told = (own != 0.0) | (leveled & (differences != 0.0))
    if not references:
        told &= ~(leveled & (reference == np.arange(leveled.size)))
    told &= curves | ~_of_curves(encoding)
    found: list[dict[str, Any]] = []
    for j in np.argsort(-shares, kind="stable").tolist():
        if most is not None and len(found) >= most:
            break
        for c in np.flatnonzero(told[:, j]).tolist():
            entry = {"feature": encoding.feature_name(j), "coefficient": float(own[c, j]),
                     "importance": float(shares[j])}  # fmt: skip
            if leveled[j]:
                entry["against"] = encoding.feature_name(int(reference[j]))
                entry["difference"] = float(differences[c, j])
            if k > 1:
                entry["class"] = labels[c]
            if isinstance(model.loss, Softmax):  # probabilities depend on how classes differ
                entry["centred"] = float(centred[c, j])
            if j < len(encoding.numbers):
                entry["unit"] = "day" if encoding.numbers[j].part else "1"
            found.append(entry)
    return found[:most]


def estimate_of(entry: Mapping[str, Any]) -> tuple[str, float]:
    """Return which number of an entry of `coefficients` intervals and tests are of, and it.

    A level's own coefficient may be any: only what it is against another one is known.

    Examples
    --------
    >>> estimate_of({"coefficient": 3.0})
    ('coefficient', 3.0)
    >>> estimate_of({"coefficient": 3.0, "against": "zone=centre", "difference": 2.0})
    ('difference', 2.0)
    """
    name = next(name for name in ("centred", "difference", "coefficient") if name in entry)
    return name, float(entry[name])


def _of_curves(encoding: Encoding | SparseEncoding) -> NDArray[np.bool_]:
    """Return which features are parts of curves."""
    found = np.zeros(encoding.n_features, bool)
    for _, span in _curves(encoding):
        found[span] = True
    return found


def _curves(encoding: Encoding | SparseEncoding) -> Iterator[tuple[SplineColumn, slice]]:
    """Yield the curves, each with its features; not those of crosses."""
    for q, column in enumerate(encoding.placed, start=len(encoding.coded)):
        if isinstance(column, SplineColumn) and not isinstance(encoding, SparseEncoding):
            yield column, slice(encoding.starts[q], encoding.starts[q + 1])


def points_of_curves(model: Model) -> list[dict[str, Any]]:
    """Return some points of each curve: what it adds to the score, against its middle one.

    Returns
    -------
    list of dict
        ``column``; ``at``, values of it (of dates, days since 1970); ``adds`` to the score; and
        ``class`` of more than two, where what is added is about the mean of the classes.
    """
    found: list[dict[str, Any]] = []
    coef, k = model.coef_, model.n_outputs
    coef = coef - coef.mean(axis=0) if k > 1 else coef
    labels: Sequence[Any] = [None] if k == 1 else list(model.target.classes or ())
    for column, span in _curves(model.encoding):
        chosen = np.unique(np.linspace(0, len(column.knots) - 1, _POINTS).round().astype(int))
        at = np.array(column.knots)[chosen]
        first, amounts = column.amounts(at)
        for own, label in zip(coef[:, span], labels, strict=True):
            values = (amounts * own[first[:, None] + np.arange(column.n_places)]).sum(axis=1)
            entry = {"column": column.source, "at": at.tolist(),
                     "adds": (values - values[at.size // 2]).tolist()}  # fmt: skip
            found.append(entry | ({} if label is None else {"class": label}))
    return found


def curve_in_words(model: Model, entry: Mapping[str, Any]) -> str:
    """Return what points of a curve say of the prediction, other features being the same."""
    target, loss = model.target, model.loss
    times = isinstance(loss, LogLoss | Softmax) or hasattr(loss, "inverse_link")
    what = f"{_quantile_of(loss)}{target.column}"
    if target.classes is not None:
        label = written(entry.get("class", target.classes[-1]))
        what = f"the odds of {label}" if isinstance(loss, LogLoss) else label
    dates = any(c.source == entry["column"] and c.part for c in model.encoding.read_as_numbers)
    points = [
        f"{_factor(adds) if times else format(adds, '+,.4g' if abs(adds) < 1e4 else '+,.0f')} at "
        f"{np.datetime64(round(at), 'D') if dates else format(at, '.4g')}"
        for at, adds in zip(entry["at"], entry["adds"], strict=True)
    ]
    return f"{entry['column']}: {what}{' times' if times else ''} {', '.join(points)}"


def in_words(model: Model, entry: Mapping[str, Any]) -> str:
    """Return what a coefficient says of the prediction, other features being the same."""
    target = model.target
    loss = model.loss
    multiplies = isinstance(loss, LogLoss | Softmax) or hasattr(loss, "inverse_link")
    value = float(entry.get("difference", entry["coefficient"]))
    if isinstance(loss, Softmax):
        value = float(entry["centred"])
    ends = (float(entry["low"]), float(entry["high"])) if "low" in entry else None
    against = f", against {entry['against']}" if "against" in entry else ""
    what = str(entry["feature"])
    if "unit" in entry:
        units = _units(value, ends) if multiplies else 1
        value *= units
        ends = None if ends is None else (ends[0] * units, ends[1] * units)
        more = f"{units:,}"
        if entry["unit"] == "day":
            more = "a day" if units == 1 else f"{units:,} days"
        what = f"{more} more of {what}"
    if target.classes is not None:
        label = written(entry.get("class", target.classes[-1]))
        if isinstance(loss, LogLoss):
            return f"{what}: the odds of {label} {_times(value, ends)}{against}"
        if isinstance(loss, Softmax):
            odds = f"the odds of {label} against the average class"
            return f"{what}: {odds} {_times(value, ends)}{against}"
        sign = "+" if value >= 0 else ""
        return f"{what}: the score of {label} {sign}{number(value)}{_span(ends)}{against}"
    if multiplies:
        return f"{what}: {target.column} {_times(value, ends)}{against}"
    of = _quantile_of(loss)
    low, high = ends or (value, value)
    if value >= 0 or high >= 0:  # an interval of both signs is of what is added
        return f"{what} adds {number(value)}{_span(ends)} to {of}{target.column}{against}"
    taken = None if ends is None else (-high, -low)
    return f"{what} takes {number(-value)}{_span(taken)} from {of}{target.column}{against}"


def _quantile_of(loss: Any) -> str:
    return f"the {loss.quantile:g} quantile of " if isinstance(loss, Pinball) else ""


def _span(ends: tuple[float, float] | None) -> str:
    """Return the ends of an interval in brackets, if there is one."""
    return "" if ends is None else f" ({number(ends[0])} to {number(ends[1])})"


def _times(value: float, ends: tuple[float, float] | None) -> str:
    """Return a factor by its logarithm, with the ends of its interval in brackets, if it has one.

    Examples
    --------
    >>> _times(0.00095, None), _times(0.00095, (-0.36, 0.36))
    ('times 1.00095', 'times 1.001 (0.6977 to 1.433)')
    >>> _times(1000.0, (-9000.0, math.inf))
    'times 1.014e+304 (9.86e-305 to 1.014e+304)'
    """
    if ends is None:
        return f"times {_factor(value)}"
    unsure = ends[0] < 0.0 < ends[1]  # then there is no need to tell it from 1
    factor = number(_exponential(value)) if unsure else _factor(value)
    return f"times {factor} ({_factor(ends[0])} to {_factor(ends[1])})"


def _factor(exponent: float) -> str:
    """Return e to a power, as any number, but with two digits more than a 1 that it is close to.

    Examples
    --------
    >>> _factor(0.0002345678), _factor(0.05123), _factor(-2.0), _factor(9.0)
    ('1.00023', '1.053', '0.1353', '8,103')
    """
    value = _exponential(exponent)
    if not 0.9 < value < 1.1 or exponent == 0.0:
        return number(value)
    return number(value, min(max(4, 2 - math.floor(math.log10(abs(exponent)))), 15))


def _exponential(exponent: float) -> float:
    return math.exp(min(max(exponent, -700.0), 700.0))


def intercepts_in_words(model: Model) -> str:
    """Return the intercept; of several classes each one's, those of the first ten."""
    each = [number(b, 6) for b in model.intercept_[:_INTERCEPTS]]
    if model.n_outputs == 1:
        return each[0]
    found = [f"{name} {b}" for name, b in zip(model.target.names, each, strict=False)]
    more = model.n_outputs - len(found)
    return ", ".join([*found, *([f"and {more:,} more"] if more else [])])


def _units(value: float, ends: tuple[float, float] | None) -> int:
    """Return of how many units more a factor is told: of so many that it can be told from 1.

    Examples
    --------
    >>> _units(0.2, None), _units(3.6e-6, None), _units(1e-6, (-0.01, 0.01))
    (1, 1000, 1)
    """
    size = max(abs(each) for each in (value, *(ends or ())))
    units = 1
    while 0.0 < size * units < _TOLD and units < _MOST_UNITS:
        units *= 10
    return units
