"""Some sixty small fits that together take every road through the package.

Each is a function without arguments that returns the fitted parameters. Their bits are
recorded in ``bits.json``, so that a change of the code that should change no bit can show it.
"""

from __future__ import annotations

from contextlib import redirect_stderr, redirect_stdout
from functools import cache, partial
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import scipy.sparse as sp

import gradstep
from gradstep import MiniBatchClassifier, MiniBatchRegressor

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["FITS"]


@cache
def _numbers(n: int = 600, p: int = 4) -> dict[str, NDArray[Any]]:
    """Return features and targets of every kind; targets are rounded, so that libm says nothing."""
    rng = np.random.default_rng(11)
    X = np.round(rng.normal(size=(n, p)) * np.resize([1.0, 10.0, 0.1, 3.0], p), 6)
    score = np.round(X[:, :4] @ np.array([0.5, -0.04, 3.0, 0.1]), 3)
    noise = np.round(rng.normal(size=n), 3)
    return {
        "X": X,
        "real": np.round(score + 0.5 * noise + 2.0, 3),
        "count": np.maximum(np.round(score + noise + 1.5), 0.0),
        "positive": np.abs(score + noise) + 0.25,
        "two": (score + noise > 0.0).astype(int),
        "three": np.digitize(score + 0.3 * noise, [-0.7, 0.7]),
        "weight": np.round(rng.uniform(0.1, 2.0, size=n), 3),
    }


@cache
def _sparse(n: int = 500, p: int = 40) -> tuple[Any, NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(12)
    dense = np.round(rng.normal(size=(n, p)), 4) * (rng.random((n, p)) < 4.0 / p)
    score = np.round(dense @ np.round(rng.normal(size=p), 2) + 0.5 * rng.normal(size=n), 3)
    return sp.csr_matrix(dense), score, (score > 0.0).astype(int)


@cache
def _frame(n: int = 700) -> pl.DataFrame:
    rng = np.random.default_rng(13)
    level = rng.integers(0, 6, n)
    other = rng.integers(0, 3, n)
    number = np.round(rng.normal(size=n), 4)
    score = np.round(0.3 * level - 0.8 * other + number + 0.3 * rng.normal(size=n), 3)
    return pl.DataFrame({
        "number": np.where(rng.random(n) < 0.05, np.nan, number),
        "level": [f"l{v}" for v in level],
        "other": [f"o{v}" for v in other],
        "real": score,
        "count": np.maximum(np.round(score + 2.0), 0.0),
        "two": np.where(score > 0.0, "yes", "no"),
        "three": np.array(["a", "b", "c"])[np.digitize(score, [-0.5, 0.7])],
        "weight": np.round(rng.uniform(0.5, 2.0, n), 2),
    })  # fmt: skip


def _params(est: Any) -> NDArray[np.float64]:
    coef = est.coef_.toarray() if sp.issparse(est.coef_) else est.coef_
    return np.concatenate([np.ravel(coef), np.ravel(est.intercept_), [est.n_iter_, est.t_]])


def _array(kind: str, X: str = "dense", n: int = 600, p: int = 4, **keywords: Any) -> Any:
    """Fit arrays, with the classifier or the regressor that the target asks for."""
    data = _numbers(n, p)
    weight = data["weight"] if keywords.pop("weighted", False) else None
    classifies = kind in {"two", "three"}
    est = (MiniBatchClassifier if classifies else MiniBatchRegressor)(**keywords)
    features = data["X"]
    if X == "float32":
        features = features.astype(np.float32)
    return _params(est.fit(features, data[kind], sample_weight=weight))


def _csr(kind: str, p: int = 40, **keywords: Any) -> Any:
    X, real, two = _sparse(p=p)
    if kind == "two":
        return _params(MiniBatchClassifier(**keywords).fit(X, two))
    return _params(MiniBatchRegressor(**keywords).fit(X, real))


def _table(target: str, **keywords: Any) -> Any:
    frame = _frame().drop([t for t in ("real", "count", "two", "three") if t != target])
    if "sample_weight" not in keywords:
        frame = frame.drop("weight")
    fit = gradstep.fit_table(frame, target, **keywords)
    return np.concatenate([fit.model.params, [len(fit.history)]])


def _stream(estimator: Any, kind: str) -> Any:
    data = _numbers()
    for lo in range(0, 600, 150):
        part = slice(lo, lo + 150)
        more = {"classes": [0, 1]} if kind == "two" else {}
        estimator.partial_fit(data["X"][part], data[kind][part], **more)
    return _params(estimator)


def _warm() -> Any:
    data = _numbers()
    est = MiniBatchRegressor(warm_start=True, learning_rate=0.01, max_iter=2, tol=None)
    return _params(est.fit(data["X"], data["real"]).fit(data["X"], data["real"]))


def _multi_output() -> Any:
    data = _numbers()
    Y = np.stack([data["real"], data["positive"]], axis=1)
    return _params(MiniBatchRegressor().fit(data["X"], Y))


def _command_line(target: str, *options: str) -> NDArray[np.float64]:
    """Train with the command line on a CSV file, and return the parameters of the model file."""
    from gradstep.cli.main import app

    with TemporaryDirectory() as folder, redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        table, model = Path(folder, "table.csv"), Path(folder, "model.safetensors")
        others = [t for t in ("real", "count", "two", "three", "weight") if t != target]
        _frame().drop(others).write_csv(table)
        verb = ["train", str(table), "--target", target, "--model", str(model), "--no-cache"]
        app([*verb, *options], standalone_mode=False)
        return gradstep.load(model).params


_PLAIN: dict[str, Any] = {"learning_rate": 0.01, "max_iter": 3, "tol": None}
_LARGE: dict[str, Any] = {"n": 30_000, "batch_size": 1024, "learning_rate": 0.05, "max_iter": 2}

FITS: dict[str, Callable[[], NDArray[np.float64]]] = {
    # The automatic method, loss by loss.
    "auto squared_error": partial(_array, "real"),
    "auto squared_error l1": partial(_array, "real", penalty="l1", alpha=0.05),
    "auto squared_error elasticnet": partial(_array, "real", penalty="elasticnet", alpha=0.01),
    "auto squared_error weighted": partial(_array, "real", weighted=True),
    "auto squared_error no intercept": partial(_array, "real", fit_intercept=False),
    "auto exact": partial(_array, "real", optimizer="exact"),
    "auto huber": partial(_array, "real", loss="huber", epsilon=0.3),
    "auto epsilon_insensitive": partial(_array, "real", loss="epsilon_insensitive"),
    "auto squared_epsilon_insensitive": partial(_array, "real", loss="squared_epsilon_insensitive"),
    "auto pinball": partial(_array, "real", loss="pinball", quantile=0.8),
    "auto poisson": partial(_array, "count", loss="poisson"),
    "auto poisson weighted": partial(_array, "count", loss="poisson", weighted=True),
    "auto gamma": partial(_array, "positive", loss="gamma"),
    "auto tweedie": partial(_array, "count", loss="tweedie", power=1.4),
    "auto log_loss": partial(_array, "two"),
    "auto log_loss unit penalty": partial(_array, "two", penalty_scale="unit", alpha=0.01),
    "auto log_loss l1": partial(_array, "two", penalty="l1", alpha=0.01),
    "auto hinge": partial(_array, "two", loss="hinge"),
    "auto squared_hinge": partial(_array, "two", loss="squared_hinge"),
    "auto modified_huber": partial(_array, "two", loss="modified_huber"),
    "auto softmax": partial(_array, "three"),
    "auto one-vs-rest": partial(_array, "three", loss="squared_hinge"),
    "auto perceptron": partial(_array, "two", loss="perceptron", max_iter=5, tol=None),
    "auto several outputs": _multi_output,
    "auto float32": partial(_array, "two", X="float32"),
    "auto early stopping": partial(_array, "two", early_stopping=True),
    "auto start from a sample": partial(_array, "two", n=30_000),
    "auto quasi-newton": partial(_array, "two", n=110_000, p=70),
    "auto quasi-newton, diagonal tried": partial(_array, "two", n=8000, p=300),
    "auto variance-reduced": partial(
        _csr,
        "two",
        p=3000,
        loss="hinge",
        penalty="l1",
        max_iter=10,
        optimizer=gradstep.SVRG(share=0.3),
    ),
    "auto working set": partial(_csr, "two", p=3000, penalty="l1", alpha=0.01),
    "auto diagonal": partial(_csr, "two", p=3000, alpha=0.0, max_iter=10, tol=None),
    "auto few rows": partial(_csr, "two", p=3000, max_iter=10, tol=None),
    "auto csr": partial(_csr, "two"),
    "auto csr l1": partial(_csr, "real", penalty="l1", alpha=0.01),
    # The textbook's optimizers.
    **{
        f"{name}": partial(_array, "two", optimizer=name, **_PLAIN)
        for name in ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "ftrl")
    },
    "sgd auto rate": partial(_array, "real", optimizer="sgd", max_iter=4),
    "sgd elasticnet": partial(_array, "two", penalty="elasticnet", **_PLAIN),
    "sgd hinge": partial(_array, "two", loss="hinge", **_PLAIN),
    "sgd average l1": partial(_array, "real", penalty="l1", average=True, **_PLAIN),
    "sgd last batch mean": partial(_array, "two", last_batch="mean", batch_size=70, **_PLAIN),
    "sgd last batch drop": partial(_array, "two", last_batch="drop", batch_size=70, **_PLAIN),
    "sgd blocks": partial(_array, "two", shuffle="blocks", **_PLAIN),
    "sgd no shuffle": partial(_array, "two", shuffle=False, batch_size=1, **_PLAIN),
    "sgd weighted": partial(_array, "two", weighted=True, **_PLAIN),
    "sgd softmax": partial(_array, "three", **_PLAIN),
    "sgd invscaling": partial(
        _array, "two", learning_rate="invscaling", eta0=0.05, max_iter=3, tol=None
    ),
    "sgd one cycle": partial(
        _array, "two", learning_rate="one_cycle", eta0=0.05, max_iter=3, tol=None
    ),
    "sgd adaptive": partial(_array, "two", learning_rate="adaptive", eta0=0.05, max_iter=20),
    "sgd pieces": partial(_array, "two", **_LARGE),
    "momentum pieces, float32": partial(_array, "two", X="float32", optimizer="momentum", **_LARGE),
    "sgd preconditioned": partial(_array, "two", precondition=True, **_PLAIN),
    "sgd early stopping": partial(
        _array, "two", learning_rate=0.02, max_iter=8, early_stopping=True
    ),
    "sgd csr in place": partial(_csr, "two", optimizer="sgd", penalty_scale="unit", **_PLAIN),
    "adagrad csr lazy": partial(
        _csr, "two", p=8000, optimizer="adagrad", penalty_scale="unit", **_PLAIN
    ),
    "ftrl csr lazy": partial(
        _csr,
        "two",
        p=400,
        optimizer="ftrl",
        penalty="l1",
        penalty_scale="unit",
        batch_size=1,
        **_PLAIN,
    ),
    "stream auto": lambda: _stream(MiniBatchRegressor(), "real"),
    "stream momentum": lambda: _stream(
        MiniBatchClassifier(optimizer="momentum", learning_rate=0.01), "two"
    ),
    "warm start": _warm,
    # Tables.
    "table squared_error": partial(_table, "real"),
    "table log_loss": partial(_table, "two"),
    "table softmax": partial(_table, "three"),
    "table poisson weighted": partial(_table, "count", loss="poisson", sample_weight="weight"),
    "table hinge one-vs-rest": partial(_table, "three", loss="hinge"),
    "table sgd": partial(_table, "two", learning_rate=0.05, max_iter=4, tol=None),
    "table alpha": partial(_table, "two", alpha=0.01, refit=False),
    # The command line.
    "command line": partial(_command_line, "real"),
    "command line classes": partial(_command_line, "two", "--validation", "0.2"),
    "command line momentum": partial(
        _command_line,
        "three",
        "--optimizer",
        "momentum",
        "--learning-rate",
        "0.02",
        "--max-iter",
        "4",
    ),
}
