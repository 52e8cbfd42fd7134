"""Fits whose kernels a wheel brings along: what people run first, one of each kind.

``build_support/build_hook.py`` runs this, in processes that compile for a level of instruction sets
(`gradstep.wheel_kernels`), each with a share of the fits::

    python build_support/first_fits.py 0 2    # the first of two shares
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from scipy import sparse

import gradstep
from gradstep import MiniBatchClassifier, MiniBatchRegressor
from gradstep.fit.components import CLASSIFICATION_LOSSES, LOSSES, REGRESSION_LOSSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Rows from which Hessians are taken from samples; from which least squares is fitted while a table
# is read.
MANY, STRAIGHT = 60_000, (1 << 20) + (1 << 18)
OPTIMIZERS = ("sgd", "momentum", "adam", "adagrad")


def fits() -> Iterator[Callable[[], Any]]:
    """Yield all fits, each as a function."""
    for loss in LOSSES:
        if loss in REGRESSION_LOSSES:
            yield lambda loss=loss: of_arrays(MiniBatchRegressor, loss, classes=0)
            yield lambda loss=loss: of_table(loss, classes=0)
        if loss in CLASSIFICATION_LOSSES and loss not in REGRESSION_LOSSES:
            yield lambda loss=loss: of_arrays(MiniBatchClassifier, loss, classes=2)
            yield lambda loss=loss: of_arrays(MiniBatchClassifier, loss, classes=3)
            yield lambda loss=loss: of_table(loss, classes=2)
    yield lambda: of_table("log_loss", classes=3)
    for kind in (np.float32, sparse.csr_matrix):
        yield lambda kind=kind: of_kind(kind)
    yield lambda: of_kind(np.asarray, penalty="l1")
    yield lambda: of_kind(np.asarray, penalty="elasticnet")
    rate = {"learning_rate": "constant", "eta0": 1e-3}
    for name in OPTIMIZERS:
        yield lambda name=name, rate=rate: of_kind(np.asarray, optimizer=name, **rate)
        yield lambda name=name: of_mixed_table(optimizer=name)
    for penalty in (None, "l1", "elasticnet"):
        yield lambda penalty=penalty: of_kind(np.asarray, optimizer="sgd", penalty=penalty, **rate)
    yield straight
    yield of_sparse_text


def columns(n: int, p: int, classes: int) -> tuple[Any, Any]:
    """Return features and a target that every loss takes."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, p))
    score = X[:, 0] - 0.5 * X[:, 1] + rng.normal(size=n)
    if classes:
        return X, np.digitize(score, np.quantile(score, np.arange(1, classes) / classes))
    return X, np.round(np.exp(0.3 * score) * 3.0) + 0.5


def of_arrays(estimator: Any, loss: str, *, classes: int) -> None:
    """Fit few rows, many, and few rows of many features."""
    for n, p in ((500, 5), (MANY, 10), (100, 300)):
        X, y = columns(n, p, classes)
        model = estimator(loss=loss).fit(X, y)
        model.predict(X)
        model.score(X, y)
    estimator(loss=loss).fit(X, y, sample_weight=np.ones(len(y)))


def of_kind(kind: Any, **options: Any) -> None:
    """Fit other rows, or with other options: one loss of numbers, and classes."""
    for n in (500, MANY):
        X, y = columns(n, 10, 0)
        MiniBatchRegressor(**options).fit(kind(X), y).predict(kind(X))
        for classes in (2, 3):
            X, y = columns(n, 10, classes)
            model = MiniBatchClassifier(loss="log_loss", **options).fit(kind(X), y)
            model.predict_proba(kind(X))
            model.partial_fit(kind(X[:10]), y[:10])


def of_table(loss: str, *, classes: int) -> None:
    """Fit tables as people have them: with categories, dates and what is missing; of numbers."""
    for n in (800, MANY):
        X, y = columns(n, 4, classes)
        rng = np.random.default_rng(1)
        numbers = pl.DataFrame(X, schema=["a", "b", "c", "d"]).with_columns(target=pl.Series(y))
        if classes:
            numbers = numbers.with_columns(pl.format("class {}", "target").alias("target"))
        mixed = numbers.with_columns(
            pl.Series("city", rng.choice(["Ulm", "Bonn", "Kiel", "Jena"], n)),
            pl.when(pl.col("b") < 1.0).then("b").alias("b"),
            pl.date(2024, 1, 1).dt.offset_by("3d").alias("day"),
        )
        for table in (numbers, mixed):
            through_files(table, loss)


def of_mixed_table(**options: Any) -> None:
    """Fit a table with categories and what is missing, with options."""
    X, y = columns(2_000, 3, 2)
    table = pl.DataFrame(X, schema=["a", "b", "c"]).with_columns(
        pl.when(pl.col("b") < 1.0).then("b").alias("b"),
        pl.Series("city", np.where(X[:, 0] > 0.0, "Ulm", "Kiel")),
        pl.Series("number", X[:, 0] + y),
        pl.format("class {}", pl.Series("target", y)),
    )
    for target in ("number", "target"):
        gradstep.fit_table(table, target, max_iter=2, **options)


def of_sparse_text() -> None:
    """Fit svmlight, of numbers and of classes."""
    from sklearn.datasets import dump_svmlight_file

    with tempfile.TemporaryDirectory() as folder:
        for classes in (0, 2):
            path = Path(folder) / f"{classes}.svm"
            X, y = columns(2_000, 20, classes)
            dump_svmlight_file(np.where(X > 1.0, X, 0.0), 2 * y - 1 if classes else y, str(path))
            gradstep.fit_table(path)


def through_files(table: pl.DataFrame, loss: str) -> None:
    """Fit a CSV and a Parquet file, and judge what comes of it."""
    with tempfile.TemporaryDirectory() as folder:
        text, binary = Path(folder) / "table.csv", Path(folder) / "table.parquet"
        table.write_csv(text)
        table.write_parquet(binary)
        for path in (text, binary):
            model = gradstep.fit_table(path, "target", loss=loss).model
            gradstep.evaluate(model, path)


def straight() -> None:
    """Fit least squares of so many rows that a table is read once."""
    X, y = columns(STRAIGHT, 3, 0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        table = pl.DataFrame(X, schema=["a", "b", "c"]).with_columns(target=pl.Series(y))
        table.write_parquet(path)
        gradstep.fit_table(path, "target")


def main() -> None:
    """Run a share of the fits."""
    share, shares = (int(argument) for argument in sys.argv[1:])
    warnings.simplefilter("ignore")  # of fits whose sense does not matter
    for number, fit in enumerate(fits()):
        if number % shares == share:
            fit()


if __name__ == "__main__":
    main()
