"""How good the untuned fit of a table is, beside a careful pipeline and boosted trees.

Run from the root of the repository::

    python -m benchmarks.real_tables
    python -m benchmarks.real_tables --only titanic,tips
    python -m benchmarks.real_tables --markdown

Of each table a fifth is held out, of one with fewer than 10,000 rows each fifth in turn, and
predicted by models of the others: gradstep's with no option given; a linear one of scikit-learn,
numbers imputed (with an indicator) and scaled, text one-hot, RidgeCV or LogisticRegressionCV; and
HistGradientBoosting. Where rows have a date, the last fifth by it is held out. Figures are means
over the fifths: root mean square errors, or log losses. Of tables with fewer than 1,000 rows the
fifths are cut anew five times more, since a ratio hangs on a row or two there; the linear models
are compared on all of them, and the ratio has the standard deviation of its six values.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
import warnings
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
import polars as pl
import typer

from benchmarks.grids import Grid, print_grids
from benchmarks.no_tuning.real_sets import MissingPackage
from benchmarks.real_table_sets import TABLES, RealTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FIFTHS = 5
_SMALL, _ORDERS = 1_000, 6  # rows below which the fifths are cut so many times
_LARGE = 10_000  # rows, from which on one fifth is enough
_CLOSE = 1.01  # of the linear pipeline's figure


class Figures(NamedTuple):
    """What one table has shown: mean errors, and processor seconds of a fit.

    Attributes
    ----------
    table : RealTable
        The table.
    rows, columns : int
        Its size.
    ours, linear : float
        Root mean square error, or log loss.
    deviation : float
        Of the ratio of the two from one cut into fifths to another; NaN for a single cut.
    trees : float
        The error of boosted trees, of the first cut.
    seconds, fixed_seconds, linear_seconds : float
        Of gradstep by itself; with alpha given and no refit; of the linear pipeline.
    """

    table: RealTable
    rows: int
    columns: int
    ours: float
    linear: float
    deviation: float
    trees: float
    seconds: float
    fixed_seconds: float
    linear_seconds: float

    @property
    def ratio(self) -> float:
        """Our error over that of the linear pipeline."""
        return self.ours / self.linear if self.linear else math.inf


def main(
    *,
    only: Annotated[str, typer.Option(help="Names of tables; comma between.")] = "",
    markdown: Annotated[bool, typer.Option(help="Print Markdown.")] = False,
) -> None:
    """Compare the untuned fit of real tables with two of scikit-learn's."""
    warnings.simplefilter("ignore")
    names = [name.strip() for name in only.split(",") if name.strip()]
    chosen = [table for table in TABLES if not names or table.name in names]
    found = []
    for table in chosen:
        try:
            found.append(_figures(table))
        except MissingPackage as error:
            print(f"{table.name}: left out, {error}", file=sys.stderr)
            continue
        last = found[-1]
        print(
            f"{table.name}: {last.ours:.5g}, linear {last.linear:.5g} ({last.ratio:.4f}), "
            f"trees {last.trees:.5g}", file=sys.stderr, flush=True,
        )  # fmt: skip
    if found:
        print_grids([_of_all(found), _summary(found)], markdown=markdown)


def _figures(table: RealTable) -> Figures:
    frame = table.frame()
    orders = _ORDERS if frame.height < _SMALL and not table.time else 1
    means = []
    for seed in range(orders):
        errors, seconds = [], []
        for train, test in _splits(table, frame, seed):
            of = table, train, test
            if not seed:
                _ours(*of)  # compiled, once and for all
            results = [_timed(_ours, *of), _timed(_peer, *of, make=_linear)]
            if not seed:
                results += [
                    _timed(_peer, *of, make=_trees), _timed(_ours, *of, alpha=1e-4, refit=False),
                ]  # fmt: skip
            errors.append([error for error, _ in results])
            seconds.append([took for _, took in results])
        means.append(np.mean(errors, axis=0))
        if not seed:
            took, trees = np.mean(seconds, axis=0).tolist(), float(means[0][2])
    each = np.array([mean[:2] for mean in means])
    deviation = float(np.std(each[:, 0] / each[:, 1], ddof=1)) if orders > 1 else math.nan
    ours, linear = each.mean(axis=0).tolist()
    return Figures(
        table, frame.height, frame.width - 1, ours, linear, deviation, trees, took[0], took[3],
        took[1],
    )  # fmt: skip


def _splits(
    table: RealTable, frame: pl.DataFrame, seed: int
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Yield the rows to train on and those held out, by time or by fifths in a random order."""
    if table.time:
        rows = frame.sort(table.time)
        most = frame.height * (_FIFTHS - 1) // _FIFTHS
        yield rows[:most], rows[most:]
        return
    order = np.random.default_rng(seed).permutation(frame.height)
    for fifth in range(1 if frame.height >= _LARGE else _FIFTHS):
        held_out = np.sort(order[fifth::_FIFTHS])
        train, test = frame[np.setdiff1d(order, held_out).tolist()], frame[held_out.tolist()]
        if table.classes:
            known = train[table.target].unique().to_list()
            test = test.filter(pl.col(table.target).is_in(known))
        yield train, test


def _timed(fit: Callable[..., float], *of: Any, **options: Any) -> tuple[float, float]:
    began = time.process_time()
    return fit(*of, **options), time.process_time() - began


def _ours(table: RealTable, train: pl.DataFrame, test: pl.DataFrame, **options: Any) -> float:
    import gradstep

    task = "classification" if table.classes else "regression"
    model = gradstep.fit_table(train, table.target, task=task, **options).model
    found = gradstep.evaluate(model, test)
    return float(found["log_loss" if table.classes else "rmse"])


def _peer(
    table: RealTable, train: pl.DataFrame, test: pl.DataFrame, *, make: Callable[..., Any]
) -> float:
    from sklearn.metrics import log_loss, root_mean_squared_error

    train = train.sample(fraction=1.0, shuffle=True, seed=0)  # its folds are cut as rows lie
    names = [name for name in train.columns if name != table.target]
    numbers = [name for name in names if train[name].dtype.is_numeric()]
    others = [name for name in names if name not in numbers]
    X, X_test = (_in_pandas(frame, numbers, others) for frame in (train, test))
    y, y_test = (np.array(frame[table.target].to_list()) for frame in (train, test))
    model = make(numbers, others, classes=table.classes).fit(X, y)
    if table.classes:
        return float(log_loss(y_test, model.predict_proba(X_test), labels=model.classes_))
    return float(root_mean_squared_error(y_test, model.predict(X_test)))


def _in_pandas(frame: pl.DataFrame, numbers: list[str], others: list[str]) -> Any:
    import pandas as pd

    found = {name: frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in numbers}
    found |= {
        name: np.array(frame[name].cast(pl.String).fill_null("missing").to_list(), object)
        for name in others
    }
    return pd.DataFrame(found)


def _linear(numbers: list[str], others: list[str], *, classes: bool) -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegressionCV, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore"), others),
    )
    model: Any = RidgeCV(np.logspace(-3, 5, 17))
    if classes:
        model = LogisticRegressionCV(
            Cs=10, l1_ratios=(0.0,), scoring="neg_log_loss", max_iter=1000,
            use_legacy_attributes=False,
        )  # fmt: skip
    return make_pipeline(columns, model)


def _trees(numbers: list[str], others: list[str], *, classes: bool) -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = make_column_transformer(("passthrough", numbers), (codes, others))
    make = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    return make_pipeline(columns, make(random_state=0))


def _of_all(found: list[Figures]) -> Grid:
    rows = [
        [
            f.table.name, f"{f.rows:,} × {f.columns}", "log loss" if f.table.classes else "RMSE",
            f"{f.ours:.4g}", f"{f.linear:.4g}",
            _with_deviation(f) + (" LOST" if f.ratio > _CLOSE else ""),
            f"{f.trees:.4g}", f"{f.seconds:.2f}", f"{f.seconds / f.fixed_seconds:.1f}",
            f"{f.linear_seconds:.2f}",
        ]
        for f in found
    ]  # fmt: skip
    heads = [
        "table", "size", "figure", "gradstep", "linear pipeline", "ratio", "boosted trees",
        "s of gradstep", "of alpha given", "s of the pipeline",
    ]  # fmt: skip
    return Grid("The untuned fit beside scikit-learn", heads, rows)


def _with_deviation(f: Figures) -> str:
    """Return the ratio, and its deviation from cut to cut."""
    return f"{f.ratio:.3f}" + ("" if math.isnan(f.deviation) else f" ± {f.deviation:.3f}")


def _summary(found: list[Figures]) -> Grid:
    ratios = [f.ratio for f in found]
    costs = [f.seconds / f.fixed_seconds for f in found]
    return Grid(
        "In all",
        ["tables", "within 1 %", "ahead", "ahead by 1 %", "ahead of trees", "worst", "median cost"],
        [[
            str(len(found)), str(sum(r <= _CLOSE for r in ratios)),
            str(sum(r < 1.0 for r in ratios)), str(sum(r < 1.0 / _CLOSE for r in ratios)),
            str(sum(f.ours < f.trees for f in found)), f"{max(ratios):.3f}",
            f"{statistics.median(costs):.1f}",
        ]],
    )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
