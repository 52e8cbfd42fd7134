"""Figures of rows that have the target: residuals, curves of classes, counts, coverage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from gradstep.data.roles import written
from gradstep.figures import number
from gradstep.model.ranking import calibration_of, curves
from gradstep.objective.regression import Pinball, Poisson
from gradstep.reporting.figures import figure, table
from gradstep.reporting.plot import SERIES, Plot
from gradstep.reporting.scales import Linear
from gradstep.reporting.sections.effects import predicted
from gradstep.reporting.sections.quality import calibration_figure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gradstep.markup import Markup
    from gradstep.model.model import Model
    from gradstep.model.sample import SampledRows

__all__ = ["diagnostic_figures"]

_DRAWN = 1500  # dots of a cloud
_TENTHS = 10
_MOST_COUNTS = 30  # of a rootogram
_POINTS = 200  # of a curve


def diagnostic_figures(
    model: Model, rows: SampledRows, found: Mapping[str, Any], where: str
) -> list[Markup]:
    """Return what is to be seen of rows that have the target.

    Parameters
    ----------
    model : Model
        The model.
    rows : SampledRows
        Targets and scores.
    found : mapping
        What `evaluate` returned for them.
    where : str
        The section that they are in.
    """
    if not rows.y.size:
        return []
    if model.target.classes is not None:
        return _of_classes(model, rows, found, where)
    mean = model.means(rows.z)
    if isinstance(model.loss, Pinball):
        return [_coverage(model, rows, mean, where)]
    off = np.abs(rows.y - np.round(rows.y))  # of counts that were divided by an exposure, rounding
    counts = isinstance(model.loss, Poisson) and bool((off <= 1e-6).all())
    hung = [_rootogram(model, rows, mean, where)] if counts else []
    return [*hung, _residuals(model, rows, mean, where)]


def _tenths(order_by: NDArray[np.float64], weight: NDArray[np.float64]) -> list[NDArray[np.intp]]:
    """Return the rows of each tenth of the weight, from low to high; equal ones stay together."""
    order = np.argsort(order_by, kind="stable")
    first = np.flatnonzero(np.r_[True, np.diff(order_by[order]) > 0.0])
    each = np.add.reduceat(weight[order], first)
    middle = each.cumsum() - 0.5 * each
    tenth = np.minimum((_TENTHS * middle / each.sum()).astype(np.intp), _TENTHS - 1)
    tenth = np.repeat(tenth, np.diff(np.r_[first, order.size]))
    return [order[tenth == t] for t in range(_TENTHS) if (tenth == t).any()]


def _residuals(model: Model, rows: SampledRows, mean: NDArray[np.float64], where: str) -> Markup:
    residual, weight = rows.y - mean, rows.weight
    every = max(1, -(-mean.size // _DRAWN))
    x, y = mean[::every], residual[::every]
    at, middle, low, high, cells = [], [], [], [], []
    for tenth in _tenths(mean, weight):
        ends = np.quantile(residual[tenth], [0.05, 0.95])
        average = float(np.average(residual[tenth], weights=weight[tenth]))
        at.append(float(np.average(mean[tenth], weights=weight[tenth])))
        middle.append(average)
        low.append(float(ends[0]))
        high.append(float(ends[1]))
        cells.append([number(v) for v in (at[-1], average, ends[0], ends[1], tenth.size)])
    # far-out rows do not squeeze the others together
    y_ends, x_ends = (np.quantile(v, [0.002, 0.998]).tolist() for v in (residual, mean))
    plot = Plot(
        Linear.of([*x_ends, *at]), Linear.of([*y_ends, *low, *high], 0.0),
        f"predicted {model.target.column}", f"{model.target.column} less predicted",
    )  # fmt: skip
    plot.cloud(x.tolist(), y.tolist())
    plot.reference([plot.x.low, plot.x.high], [0.0, 0.0])
    plot.band(at, low, high, 1)
    plot.line(at, middle, 1)
    plot.dots(at, middle, 1)
    worst = max(zip(middle, at, strict=True), key=lambda pair: abs(pair[0]))
    return figure(
        f"{where}-residuals", "Residuals against predictions",
        "By tenths of the predictions, the mean residual is furthest from 0 where "
        f"{number(worst[1])} is predicted: {number(worst[0])}.",
        plot,
        table(["mean prediction", "mean residual", "5 % below", "5 % above", "rows"], cells, 0),
        "The line is the mean of each tenth of the rows, the band holds nine in ten of its "
        "residuals. A mean that bends away from the dashed line says that a curve or a cross is "
        "missing.",
    )  # fmt: skip


def _coverage(model: Model, rows: SampledRows, mean: NDArray[np.float64], where: str) -> Markup:
    wanted = float(model.loss.quantile)
    at, share, cells = [], [], []
    for tenth in _tenths(mean, rows.weight):
        weight = rows.weight[tenth]
        at.append(float(np.average(mean[tenth], weights=weight)))
        share.append(float(np.average(rows.y[tenth] <= mean[tenth], weights=weight)))
        cells.append([number(at[-1]), number(share[-1]), number(float(tenth.size))])
    plot = Plot(
        Linear.of(at), Linear.of(share, wanted, 0.0, 1.0, pad=0.02),
        f"predicted {predicted(model)}",
        "share of rows at or below what is predicted",
    )  # fmt: skip
    plot.reference([plot.x.low, plot.x.high], [wanted, wanted])
    plot.line(at, share)
    plot.dots(at, share)
    overall = float(np.average(rows.y <= mean, weights=rows.weight))
    return figure(
        f"{where}-coverage", f"Coverage of the {wanted:g} quantile",
        f"Of all rows {number(overall)} lie at or below what is predicted, where {wanted:g} "
        f"should. By tenths of the predictions it is {number(min(share))} to {number(max(share))}.",
        plot, table(["mean prediction", "share at or below", "rows"], cells, 0),
    )  # fmt: skip


def _rootogram(model: Model, rows: SampledRows, mean: NDArray[np.float64], where: str) -> Markup:
    """Return how many rows had each count, hung from how many were expected (Tukey)."""
    weight = rows.weight * rows.apart
    counts = np.round(rows.y)
    most = int(min(_MOST_COUNTS, max(counts.max(), 3.0)))
    k = np.arange(most + 1)
    seen = np.array([weight[counts == value].sum() for value in k])
    expected = np.array([float(weight @ stats.poisson.pmf(value, mean)) for value in k])
    top, bottom = np.sqrt(expected), np.sqrt(expected) - np.sqrt(seen)
    plot = Plot(
        Linear(-0.6, most + 0.6), Linear.of([*top, *bottom], 0.0, pad=0.05), model.target.column,
        "√ of the number of rows",
    )  # fmt: skip
    plot.hanging(k.tolist(), 0.8, top.tolist(), bottom.tolist())
    plot.reference([plot.x.low, plot.x.high], [0.0, 0.0])
    plot.line(k.tolist(), top.tolist(), 1)
    plot.dots(k.tolist(), top.tolist(), 1)
    off = int(np.abs(bottom).argmax())
    cells = [
        [str(int(v)), number(float(a)), number(float(b))]
        for v, a, b in zip(k, seen, expected, strict=True)
    ]
    return figure(
        f"{where}-rootogram", "Hanging rootogram",
        "Bars of the rows that had each count hang from the line of how many were expected. "
        f"Furthest from 0 ends that of {off}: {number(float(seen[off]))} rows, expected "
        f"{number(float(expected[off]))}.",
        plot, table([model.target.column[:80], "rows", "expected"], cells, 0),
        "A bar that ends above the dashed line says that fewer rows had this count than the model "
        "expects, one below that more did. Too many of 0 and of large counts mean overdispersion.",
    )  # fmt: skip


def _of_classes(
    model: Model, rows: SampledRows, found: Mapping[str, Any], where: str
) -> list[Markup]:
    """Return ROC and precision-recall curves, and calibration, of each class against the others."""
    classes = list(model.target.classes or ())
    single = model.n_outputs == 1
    chosen = [1] if single else list(range(len(classes)))[:SERIES]
    each = model.probabilities(rows.z) if model.gives_probabilities else None
    names, by_class = [], []
    for c in chosen:
        score = rows.z[:, 0] if single else rows.z[:, c] if each is None else each[:, c]
        of = rows.y == c
        if of.any() and not of.all():
            names.append(written(classes[c]))
            by_class.append(curves(score, of, rows.weight))
    figures = []
    if each is not None and single:
        tenths = found.get("calibration") or calibration_of(
            rows.z[:, 0], rows.y == 1, rows.weight, lambda z: model.probabilities(z[:, None])[:, 1]
        )
        figures.append(calibration_figure(f"{where}-calibration", tenths, written(classes[1])))
    elif each is not None:
        figures += [
            calibration_figure(
                f"{where}-calibration-{c}",
                calibration_of(each[:, c], rows.y == c, rows.weight, lambda p: p),
                written(classes[c]),
            )
            for c in chosen
        ]
    if by_class:
        figures += [_roc(by_class, names, found, where), _precision(by_class, names, found, where)]
    return figures


def _thinned(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[list[float], list[float]]:
    at = np.unique(np.linspace(0, x.size - 1, min(_POINTS, x.size)).round().astype(np.intp))
    return x[at].tolist(), y[at].tolist()


def _roc(
    by_class: list[dict[str, NDArray[np.float64]]],
    names: list[str],
    found: Mapping[str, Any],
    where: str,
) -> Markup:
    plot = Plot(
        Linear(0.0, 1.0),
        Linear(0.0, 1.0),
        "share of other rows taken for it (fallout)",
        "share of its rows found (recall)",
    )
    plot.reference([0.0, 1.0], [0.0, 1.0])
    areas, cells = [], []
    for series, (each, name) in enumerate(zip(by_class, names, strict=True)):
        x, y = np.r_[0.0, each["fallout"]], np.r_[0.0, each["recall"]]
        areas.append(float(np.trapezoid(y, x)))
        plot.line(*_thinned(x, y), series, dashed=len(names) > 1)
        cells += [
            [name, number(at), number(float(np.interp(at, x, y)))]
            for at in (0.01, 0.05, 0.1, 0.2, 0.5)
        ]  # fmt: skip
    if len(names) == 1 and "auc" in found:
        areas = [found["auc"]]
    if len(names) > 1:
        plot.key(names)
    told = ", ".join(f"{name[:40]} {number(a, 4)}" for name, a in zip(names, areas, strict=True))
    return figure(
        f"{where}-roc", "ROC curve", f"Area under the curve: {told}; on the dashed line 0.5.", plot,
        table(["class", "fallout", "recall"], cells), f"Area under the curve: {told}.",
    )  # fmt: skip


def _precision(
    by_class: list[dict[str, NDArray[np.float64]]],
    names: list[str],
    found: Mapping[str, Any],
    where: str,
) -> Markup:
    plot = Plot(
        Linear(0.0, 1.0),
        Linear(0.0, 1.0),
        "share of its rows found (recall)",
        "share of rows found that are of it (precision)",
    )
    means, cells = [], []
    for series, (each, name) in enumerate(zip(by_class, names, strict=True)):
        recall, precision = each["recall"], each["precision"]
        plot.line(*_thinned(recall, precision), series, dashed=len(names) > 1)
        means.append(float((np.diff(np.r_[0.0, recall]) * precision).sum()))
        rate, last = float(precision[-1]), recall.size - 1
        plot.reference([0.0, 1.0], [rate, rate])
        cells += [
            [name, number(at), number(float(precision[min(int(i), last)]))]
            for at in (0.1, 0.25, 0.5, 0.75, 0.9)
            for i in [np.searchsorted(recall, at)]
        ]  # fmt: skip
    if len(names) == 1 and "pr_auc" in found:
        means = [found["pr_auc"]]
    if len(names) > 1:
        plot.key(names)
    told = ", ".join(f"{name[:40]} {number(a, 4)}" for name, a in zip(names, means, strict=True))
    return figure(
        f"{where}-precision", "Precision and recall",
        f"Average precision: {told}; the dashed line is that of a guess.", plot,
        table(["class", "recall", "precision"], cells), f"Average precision: {told}.",
    )  # fmt: skip
