"""How sure a model's coefficients are: errors of those that are shown, and tests of columns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.data.features.terms.spline import SplineColumn
from gradstep.diagnostics.catalogue import GRAVE
from gradstep.diagnostics.diagnostic import without
from gradstep.diagnostics.of_models import FEW_CLUSTERS
from gradstep.inference.estimates import Inference
from gradstep.model.coefficients import estimate_of, references_of
from gradstep.model.training_rows import parts_of
from gradstep.objective.classification import Softmax

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from gradstep.model.model import Model

__all__ = [
    "correlations",
    "inference_of",
    "kind_of_errors",
    "of_errors",
    "per_deviation",
    "shared_directions",
    "wald_by_column",
    "with_errors",
]

_LEAST = 0.5  # the least size of a correlation that is told


def inference_of(model: Model) -> Inference:
    """Return how sure the parameters of encoded features are, of a model that knows it."""
    assert model.covariance is not None  # noqa: S101
    features = [*map(str, range(model.encoding.n_features)), "(intercept)"]
    return Inference(features, [None] * model.n_outputs, model.covariance, model.loss)


def shared_directions(encoding: Any) -> NDArray[np.float64]:
    """Return what changes no score: all levels of a category higher, the intercept lower."""
    spans = list(zip(encoding.starts[:-1], encoding.starts[1:], strict=True))
    found = np.zeros((len(spans), encoding.n_features + 1))
    for line, (lo, hi) in zip(found, spans, strict=True):
        line[lo:hi], line[-1] = 1.0, -1.0
    return found


def with_errors(
    model: Model, entries: Sequence[Mapping[str, Any]], level: float = 0.95
) -> list[dict[str, Any]]:
    """Return entries of `coefficients` with what is known of their errors.

    Parameters
    ----------
    model : Model
        A model whose covariance is known; others get nothing more.
    entries : sequence of dict
        What `coefficients` returned.
    level : float
        Of the confidence intervals.

    Returns
    -------
    list of dict
        The same, and of those that are determined ``standard_error``, ``p``, ``low``,
        ``high``, and ``interval_of``, the name of what these are of: of levels ``difference``, of
        several classes ``centred``.
    """
    if model.covariance is None:
        return [dict(entry) for entry in entries]
    found = inference_of(model)
    whole = found.whole()
    told = []
    for entry, line in zip(entries, _contrasts(model, entries), strict=True):
        own = dict(entry)
        if line is not None:
            name, value = estimate_of(own)
            error = math.sqrt(max(float(line @ whole @ line), 0.0))
            if error > 0.0:
                half = found.quantile(level) * error
                own |= {"standard_error": error, "p": found.p_of(value / error),
                        "low": value - half, "high": value + half,
                        "interval_of": name}  # fmt: skip
        told.append(own)
    return told


def _contrasts(
    model: Model, entries: Sequence[Mapping[str, Any]]
) -> list[NDArray[np.float64] | None]:
    """Return for each entry the combination of parameters that it is; None if undetermined."""
    assert model.covariance is not None  # noqa: S101
    encoding, k = model.encoding, model.n_outputs
    q = encoding.n_features + 1
    lost = model.covariance.undetermined
    in_units = _in_units(encoding)
    reference, leveled = references_of(model)
    number = {encoding.feature_name(j): j for j in range(q - 1)}
    classes = list(model.target.classes or ())
    lines: list[NDArray[np.float64] | None] = []
    for entry in entries:
        j = number[entry["feature"]]
        c = classes.index(entry["class"]) if k > 1 else 0
        own = in_units(j) - (in_units(int(reference[j])) if leveled[j] else 0.0)
        line = np.zeros(k * q)
        line[c * q : c * q + q - 1] = own
        lines.append(None if lost[c, : q - 1][own != 0.0].any() else line)
    return lines


def _in_units(encoding: Any) -> Callable[[int], NDArray[np.float64]]:
    """Return what tells of which parameters a coefficient in the columns' own units is made.

    Of a number that is in a cross, or has a power, it is made of theirs, too.
    """
    p = encoding.n_features
    if encoding.has_terms:
        whole = encoding.in_units(np.eye(p), np.zeros(p))[0]
        return lambda j: whole[:, j]
    each = encoding.in_units(np.ones((1, p)), np.zeros(1))[0][0]
    return lambda j: np.where(np.arange(p) == j, each[j], 0.0)


def per_deviation(
    model: Model, entries: Sequence[Mapping[str, Any]], level: float = 0.95
) -> list[tuple[float, float, float]]:
    """Return coefficients on one scale: each with the ends of its interval, NaN if there is none.

    Parameters
    ----------
    model : Model
        The model.
    entries : sequence of dict
        What `with_errors` returned.
    level : float
        Of the intervals.

    Returns
    -------
    list of (value, low, high)
        Of numbers, and of what is made of them, for a standard deviation more where all that they
        are crossed with is at its mean; of levels what `with_errors` tells.
    """
    encoding, k = model.encoding, model.n_outputs
    p = encoding.n_features
    w = model.params[: k * p].reshape(k, p)
    w = w - w.mean(axis=0) if isinstance(model.loss, Softmax) else w
    deviations = model.training.deviations if model.training is not None else ()
    number = {encoding.feature_name(j): j for j in range(len(encoding.numbers))}
    classes = list(model.target.classes or ())
    found = []
    for entry in entries:
        j = number.get(entry["feature"], p)
        if "unit" not in entry or j >= len(deviations):
            low, high = (float(entry.get(name, math.nan)) for name in ("low", "high"))
            found.append((estimate_of(entry)[1], low, high))
            continue
        c = classes.index(entry["class"]) if k > 1 else 0
        value, half = float(w[c, j]) * deviations[j], math.nan
        if model.covariance is not None and not model.covariance.undetermined[c, j]:
            error = float(model.covariance.standard_errors[c, j]) * deviations[j]
            half = inference_of(model).quantile(level) * error
        found.append((value, value - half, value + half))
    return found


def correlations(model: Model, entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return which coefficients the data can hardly tell apart, the closest first.

    Parameters
    ----------
    model : Model
        A model whose covariance is known; of others nothing is.
    entries : sequence of dict
        What `coefficients` returned.

    Returns
    -------
    list of dict
        ``one`` and ``other``, entries; ``correlation`` of their estimates. Levels of one category
        share what they are told against, and so are none.
    """
    if model.covariance is None:
        return []
    whole = inference_of(model).whole()
    known = [
        (entry, line)
        for entry, line in zip(entries, _contrasts(model, entries), strict=True)
        if line is not None and line @ whole @ line > 0.0
    ]
    if not known:
        return []
    lines = np.array([line for _, line in known])
    products = lines @ whole @ lines.T
    errors = np.sqrt(np.diag(products))
    each = np.clip(products / errors / errors[:, None], -1.0, 1.0)
    found = []
    for i, j in zip(*np.triu_indices(len(known), 1), strict=True):
        one, other = known[i][0], known[j][0]
        same = "against" in one and one["against"] == other.get("against")
        if abs(each[i, j]) >= _LEAST and not same and one.get("class") == other.get("class"):
            found.append({"one": one, "other": other, "correlation": float(each[i, j])})
    return sorted(found, key=lambda pair: -abs(pair["correlation"]))


def wald_by_column(model: Model) -> list[dict[str, Any]]:
    """Return for each column whether all its coefficients may be zero (Wald).

    Returns
    -------
    list of dict
        ``column``, ``statistic``, ``df`` and ``p``; of a category its levels are compared.
    """
    if model.covariance is None:
        return []
    found, k = inference_of(model), model.n_outputs
    encoding: Any = model.encoding  # sparse text has no covariance
    q, (reference, leveled) = encoding.n_features + 1, references_of(model)
    tests = []
    against = {j: int(reference[j]) for j in np.flatnonzero(leveled).tolist()}
    for at, column in enumerate([*encoding.coded, *encoding.placed]):
        if isinstance(column, SplineColumn):  # its parts add up to one, as levels do
            lo, hi = encoding.starts[at], encoding.starts[at + 1]
            against |= dict.fromkeys(range(lo, hi), lo)
    for column, part in parts_of(encoding).items():
        features = [j for span in part.features for j in range(span.start, span.stop)]
        features = [j for j in features if against.get(j) != j]
        lines = np.zeros((k * len(features), k * q))
        for at, (c, j) in enumerate((c, j) for c in range(k) for j in features):
            lines[at, c * q + j] = 1.0
            if j in against:
                lines[at, c * q + against[j]] = -1.0
        tests.append({"column": column, **found.wald_of(lines)})
    return tests


def of_errors(model: Model, ignored: frozenset[str] = frozenset()) -> str:
    """Return what to say of the intervals that stand beside coefficients, if there are any.

    Parameters
    ----------
    model : Model
        The model.
    ignored : frozenset of str
        Codes of notes that are not to be spoken of.
    """
    if model.covariance is None:
        return ""
    return f"; with 95 % confidence intervals ({kind_of_errors(model)}){_caution(model, ignored)}"


def _caution(model: Model, ignored: frozenset[str]) -> str:
    """Return that intervals may be narrow for a bad reason, where that was noted."""
    codes = _codes_of_notes(model, ignored)
    if not (found := ", ".join(code for code in GRAVE if code in codes)):
        return ""
    return f". They are narrow, too, where a column gives the target away: see {found} first"


def _codes_of_notes(model: Model, ignored: frozenset[str] = frozenset()) -> set[str]:
    """Return the codes of what was noted when the model was fitted."""
    notes = model.provenance.get("notes")
    known = notes if isinstance(notes, list) else []
    return {note.code for note in without(map(str, known), ignored)}


def kind_of_errors(model: Model) -> str:
    """Return which standard errors a model has, and of what."""
    of = model.covariance
    assert of is not None  # noqa: S101
    kind = {"model": "by the model", "cluster": _clustered(model)}.get(of.kind, "robust")
    shrunk = ", of coefficients as the penalty shrinks them" if of.penalised else ""
    told = FEW_CLUSTERS.code in _codes_of_notes(model)
    few = f"; few clusters, see {FEW_CLUSTERS.code}" if told else ""
    return f"{kind}{shrunk}{few}"


def _clustered(model: Model) -> str:
    """Return by what rows are clustered, and in how many clusters."""
    assert model.covariance is not None  # noqa: S101
    known = model.provenance.get("clusters")
    columns = map(str, known if isinstance(known, list) else ())
    counts = " and ".join(f"{n:,}" for n in model.covariance.clusters)
    return f"clustered by {' and '.join(columns)}: {counts} clusters"
