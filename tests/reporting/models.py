"""Models of all kinds, made by hand: nothing is trained, so nothing is compiled for it."""

from __future__ import annotations

import numpy as np
import polars as pl

from gradstep.data.features.columns import LeftOut, LevelColumn, LogColumn, NumberColumn
from gradstep.data.features.encoding import Encoding
from gradstep.data.features.terms.spline import SplineColumn
from gradstep.data.roles import Target
from gradstep.inference.record import Covariance
from gradstep.model.model import Model
from gradstep.model.training_rows import TrainingRows, parts_of
from gradstep.objective.classification import Hinge, LogLoss, Softmax
from gradstep.objective.regression import Pinball, Poisson, SquaredError

LOSSES = {
    "number": (SquaredError(), None), "two": (LogLoss(), (False, True)),
    "three": (Softmax(), ("ash", "elm", "oak")), "counts": (Poisson(), None),
    "quantile": (Pinball(0.9), None), "hinge": (Hinge(), ("n", "y")),
}  # fmt: skip
KINDS = list(LOSSES)
EPOCH = 20_000  # days since 1970
PLAIN = ("age", "fare", "deck", "income", "day", "note", "y")


def encoding_of(names=PLAIN, levels=("a", "b", "c")):
    age, fare, deck, income, day, note, _ = names
    return Encoding((
        LeftOut(note, "every value is different"),
        NumberColumn(age, 40.0, 10.0, indicator=True),
        SplineColumn(fare, (1.0, 5.0, 10.0, 30.0, 80.0), 12.0, 9.0),
        LevelColumn(deck, tuple(levels), other=True),
        LogColumn(income, 10.0, 0.5),
        NumberColumn(day, EPOCH, 200.0, part="days"),
        LevelColumn(day, tuple(map(str, range(1, 13))), part="month"),
    ))  # fmt: skip


def model_of(kind="number", names=PLAIN, levels=("a", "b", "c"), classes=None, *, sure=True):
    """Return a model whose parameters are any, with all that a file keeps."""
    rng = np.random.default_rng(0)
    encoding = encoding_of(names, levels)
    loss, own = LOSSES[kind]
    target = Target(names[-1], own if classes is None else classes)
    k, p = target.n_outputs, encoding.n_features
    params = 0.4 * rng.normal(size=k * (p + 1))
    n_parts = len(parts_of(encoding))
    shares = rng.dirichlet(np.ones(n_parts)).tolist()
    counts = [rng.dirichlet(np.ones(c.size)).tolist() for c in encoding.coded]
    training = TrainingRows(
        tuple([0.1] * k), tuple([1.0] * encoding.n_values), tuple(map(tuple, counts)),
        tuple((share**2,) * k for share in shares), tuple((share / k,) * k for share in shares),
        tuple((0.3,) * encoding.terms.size(c) for c in encoding.placed),
    )  # fmt: skip
    model = Model(encoding, target, loss, params, training=training)
    if kind == "counts":
        model.exposure = "time"
    if sure:
        model.covariance = covariance_of(model, rng)
    model.provenance = {
        "version": "0.1.0", "source": "ships.csv", "penalty": "L2(alpha=0.1)",
        "rows": {"read": 110, "dropped": 2, "train": 90, "validation": 18},
        "optimizer": "SVRG()", "batch_size": "auto", "seed": 0, "epochs": 3, "outcome": "optimal",
        "refit": {"rows": 108, "epochs": 2}, "alpha": "chosen by cross-validation",
        "words": {"Target": f"{names[-1]}, a number", "Loss": repr(loss)},
        "notes": [f"GS004: {names[0]} is odd", f"{names[0]} is older"],
        "columns": {names[0]: {"missing": 7, "low": 18.0, "high": 99.0}},
        "validation": {"rows": 18, "rmse": 1.5, "r2": 0.5, "pinball": 0.2},
        "baseline": {"rows": 18, "rmse": 2.5, "r2": -0.01, "pinball": 0.5},
        "history": {
            "epoch": [1, 2, 3], "loss": [2.0, 1.5, 1.25], "validation": [-2.5, -2.25, -2.0],
            "passes": [3.0, 4.0, 6.0], "optimality": [1e-2, 1e-4, 1e-7],
            "excess": [0.75, 0.25, 1e-9],
        },
    }  # fmt: skip
    return model


def covariance_of(model, rng):
    k, q = model.n_outputs, model.encoding.n_features + 1
    blocks, size = (1, k * q) if isinstance(model.loss, Softmax) else (k, q)
    a = rng.normal(size=(blocks, size, size)) / 20.0
    w, b = model.params[: k * (q - 1)].reshape(k, q - 1), model.params[k * (q - 1) :]
    lines = np.column_stack([w, b])
    return Covariance(
        "robust", a @ a.transpose(0, 2, 1), lines, np.zeros((k, q), bool), 100, q, (), np.ones(k),
        0.0, penalised=True, degrees=None,
    )  # fmt: skip


def table_of(model, n=150):
    """Return a table that the model reads, with a target."""
    rng = np.random.default_rng(1)
    age, fare, deck, income, day = dict.fromkeys(c.source for c in model.encoding.columns[1:])
    levels = model.encoding.coded[0].levels
    frame = {
        age: rng.normal(40.0, 10.0, n), fare: rng.gamma(2.0, 6.0, n),
        deck: rng.choice([*levels, "rare"], n), income: np.exp(rng.normal(10.0, 0.5, n)),
        day: np.datetime64(EPOCH, "D") + rng.integers(-200, 200, n).astype("m8[D]"),
        "time": rng.uniform(0.5, 2.0, n),
    }  # fmt: skip
    frame = pl.DataFrame(frame)
    z = model.table_scores(frame)
    if model.target.classes is not None:
        noisy = np.column_stack([np.zeros(n), z]) if z.shape[1] == 1 else z
        code = (noisy + rng.gumbel(size=noisy.shape)).argmax(axis=1)
        target = [model.target.classes[c] for c in code]
    elif isinstance(model.loss, Poisson):
        target = rng.poisson(np.minimum(model.means(z), 50.0))
    else:
        target = model.means(z) + rng.normal(size=n)
    return frame.with_columns(pl.Series(model.target.column, target))
