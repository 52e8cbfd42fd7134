"""Vowpal Wabbit: BFGS, and its online learner; from a cache of its own, made off the clock.

Its squared loss has no half, so l2 is twice as strong there; BFGS sums losses. Online it learns by
plain SGD, and by steps that adapt to each feature, normalised by what each has had (its default) or
not. Those go without l2, which would shrink weights by another strength there, and overflow: what
they come to is judged with the penalty all the same. Weights are in single precision.
"""

from __future__ import annotations

import tempfile
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from benchmarks.solvers.side import EPOCHS, TOLERANCES, Fitted, Side, weight_sum

if TYPE_CHECKING:
    from benchmarks.no_tuning.objective import Objective
    from benchmarks.solvers.cases import Task

PACKAGE = MODULE = "vowpalwabbit"
LOSSES = {"squared_error": ("squared", 2.0), "log_loss": ("logistic", 1.0)}
FEATURES = 100_000  # below the place of the intercept in a table of 2**18 weights
RATES = (100.0, 30.0, 10.0, 3.0, 1.0, 0.5, 0.1)  # 0.5 is its default
PASSES = 1000
NUMBERS = 70_000_000  # beyond, its text takes gigabytes, and a pass many seconds


def sides(task: Task, *, small_batches: bool) -> list[Side]:
    """Return its sides of squared and log loss with l2 or without, of one output."""
    o = task.objective
    if o.loss not in LOSSES or o.k > 1 or o.l1_share or o.X.shape[1] > FEATURES:
        return []
    if (o.X.nnz if sp.issparse(o.X) else o.X.size) > NUMBERS:
        return []
    module = import_module("vowpalwabbit")
    loss, factor = LOSSES[o.loss]
    folder = tempfile.TemporaryDirectory()  # lives as long as the sides
    text, cache = Path(folder.name) / "rows.vw", Path(folder.name) / "rows.cache"
    _write(o, text)
    common = [
        "--cache_file", str(cache), "--holdout_off", "--quiet", "--no_stdin", "-b", "18",
        "--loss_function", loss,
    ]  # fmt: skip
    module.Workspace(arg_list=["-d", str(text), "-k", "--noop", *common]).finish()
    text.unlink()

    def trained(more: list[str], _folder: Any = folder) -> Any:
        return module.Workspace(arg_list=[*common, "--no_bias_regularization", *more])  # it trains

    def of_bfgs(tol: float) -> Any:
        strength = repr(factor * o.strength * weight_sum(o))
        options = ["--bfgs", "--mem", "15", "--termination", repr(tol), "--passes", str(PASSES)]
        return trained([*options, "--l2", strength])

    def of_passes(more: list[str], passes: float, rate: float) -> Any:
        return trained(["--passes", str(int(passes)), "-l", repr(rate), *more])

    found = [Side("Vowpal Wabbit BFGS", of_bfgs, _value(o), TOLERANCES)]
    if small_batches:
        online = {
            "default": [],
            "not normalised": ["--adaptive", "--invariant"],
            "SGD": ["--sgd", "--l2", repr(factor * o.strength)],
        }
        for name, options in online.items():
            fit = partial(of_passes, options)
            found.append(Side(f"Vowpal Wabbit, {name}", fit, _value(o), EPOCHS, RATES))
    return found


def _value(o: Objective) -> Any:
    def value(workspace: Any) -> float:
        p = o.X.shape[1]
        weights = np.array([workspace.get_weight_from_name(str(j)) for j in range(p)])
        intercept = workspace.predict("| ")  # of a row of zeros
        workspace.finish()
        return o.value_of(Fitted(weights, intercept))

    return value


def _write(o: Objective, path: Path) -> None:
    """Write rows as text: label, weight, and features by their numbers."""
    label = np.where(o.y > 0, 1, -1) if o.n_classes else o.y
    weight = o.row_weights * len(o.y)
    heads = pl.DataFrame({"y": label, "w": weight}).select(
        pl.concat_str("y", "w", pl.lit("|"), separator=" ")
    )
    if sp.issparse(o.X):
        X = sp.csr_array(o.X)
        rows = np.repeat(np.arange(len(o.y)), np.diff(X.indptr))
        numbers = pl.DataFrame({"row": rows, "j": X.indices, "x": X.data})
        words = (
            numbers.select("row", pl.concat_str("j", pl.lit(":"), "x"))
            .group_by("row", maintain_order=True)
            .agg(pl.col("j").str.join(" "))
        )
        if len(words) != len(o.y):
            message = "a row without features"
            raise ValueError(message)
        lines = heads.with_columns(words["j"])
    else:
        columns = [pl.Series(f"x{j}", column) for j, column in enumerate(o.X.T)]
        named = [pl.concat_str(pl.lit(f"{j}:"), f"x{j}") for j in range(len(columns))]
        lines = heads.with_columns(
            pl.DataFrame(columns).select(pl.concat_str(named, separator=" "))
        )
    lines.write_csv(path, include_header=False, separator=" ", quote_style="never")
