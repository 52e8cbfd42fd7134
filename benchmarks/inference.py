"""What a fit with standard errors takes, beside statsmodels, glum, polars-ds and pyfixest.

Run from the root of the repository::

    python -m benchmarks.inference [--rows 1000000] [--features 30] [--rounds 3] [--only gradstep]

Least squares with robust (HC1) and clustered errors, generalised linear models with HC0. The
sides take turns at the same rows, in the form that each likes best; their standard errors must
agree. The first round, in which code is compiled, is not counted. What a package lacks is skipped,
with a reason.
"""

from __future__ import annotations

import gc
import time
from importlib import import_module, metadata
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
import polars as pl
import typer

import gradstep
from benchmarks.machine import describe_machine
from gradstep import MiniBatchClassifier, MiniBatchRegressor

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

CLUSTERS = 1000
AGREE = 1e-6


class Work(NamedTuple):
    """What is fitted, and with which standard errors."""

    words: str
    family: str
    clustered: bool = False


class Rows(NamedTuple):
    """The rows, in the forms that packages take."""

    X: Any
    with_constant: Any
    targets: Any  # by family
    clusters: Any
    frame: Any


def rows_of(n: int, p: int) -> Rows:
    """Return rows whose noise depends on the features, in clusters that share a part of it."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, p)) * np.geomspace(0.1, 10.0, p) + 1.0
    clusters = rng.integers(0, CLUSTERS, n)
    score = (X - 1.0) @ (rng.normal(size=p) / np.geomspace(0.1, 10.0, p) / np.sqrt(p))
    noise = rng.normal(size=n) * np.exp(0.2 * score) + 0.3 * rng.normal(size=CLUSTERS)[clusters]
    y = score + noise
    targets = {
        "normal": y,
        "binomial": (score + rng.logistic(size=n) > 0.0).astype(float),
        "poisson": rng.poisson(np.exp(score)).astype(float),
        "gamma": np.exp(score) * rng.gamma(2.0, 0.5, n),
    }
    frame = pl.DataFrame(X, schema=[f"x{j}" for j in range(p)])
    frame = frame.with_columns(y=pl.Series(y), g=clusters)
    return Rows(X, np.column_stack([X, np.ones(n)]), targets, clusters, frame)


def _gradstep(rows: Rows, work: Work) -> NDArray[np.float64]:
    losses = {"normal": "squared_error", "binomial": "log_loss"}
    kind = MiniBatchClassifier if work.family == "binomial" else MiniBatchRegressor
    y = rows.targets[work.family]
    model = kind(losses.get(work.family, work.family), penalty=None, tol=1e-6).fit(rows.X, y)
    clusters = rows.clusters if work.clustered else None
    covariance = "robust" if work.family == "normal" else "HC0"
    found = model.inference(rows.X, y, covariance=covariance, clusters=clusters)
    errors: NDArray[np.float64] = found.standard_errors[0, :-1]
    return errors


def _statsmodels(rows: Rows, work: Work) -> NDArray[np.float64]:
    sm = import_module("statsmodels.api")
    y = rows.targets[work.family]
    how = {"cov_type": "HC1" if work.family == "normal" else "HC0"}  # HC1 of a GLM has no factor
    if work.clustered:
        how = {"cov_type": "cluster", "cov_kwds": {"groups": rows.clusters}}
    families = {
        "binomial": sm.families.Binomial(),
        "poisson": sm.families.Poisson(),
        "gamma": sm.families.Gamma(sm.families.links.Log()),
    }
    if work.family == "normal":
        fit = sm.OLS(y, rows.with_constant).fit(**how)
    else:
        fit = sm.GLM(y, rows.with_constant, family=families[work.family]).fit(**how)
    errors: NDArray[np.float64] = fit.bse[:-1]
    return errors


def _glum(rows: Rows, work: Work) -> NDArray[np.float64]:
    glum = import_module("glum")
    y, (n, p) = rows.targets[work.family], rows.X.shape
    links = {"gamma": "log"}
    model = glum.GeneralizedLinearRegressor(
        alpha=0.0, family=work.family, link=links.get(work.family, "auto"), gradient_tol=1e-8
    ).fit(rows.X, y)
    how = {"clusters": rows.clusters} if work.clustered else {"robust": True}
    errors: NDArray[np.float64] = model.std_errors(rows.X, y, **how)[1:]
    factor = 1.0 if work.family == "normal" else np.sqrt(n / (n - p - 1))  # as of HC1
    return errors / factor


def _polars_ds(rows: Rows, work: Work) -> NDArray[np.float64]:
    pds = import_module("polars_ds")
    _only(work.family == "normal" and not work.clustered)
    names = [f"x{j}" for j in range(rows.X.shape[1])]
    told = rows.frame.select(
        pds.lin_reg_report(*names, target="y", add_bias=True, std_err="hc1").alias("r")
    ).unnest("r")
    column = next(name for name in told.columns if "se" in name.lower() or "std" in name.lower())
    errors: NDArray[np.float64] = told[column].to_numpy()[:-1]
    return errors


def _pyfixest(rows: Rows, work: Work) -> NDArray[np.float64]:
    pf = import_module("pyfixest")
    names = " + ".join(f"x{j}" for j in range(rows.X.shape[1]))
    _only(work.family == "normal")
    vcov = {"CRV1": "g"} if work.clustered else "HC1"
    fit = pf.feols(f"y ~ {names}", data=rows.frame, vcov=vcov, copy_data=False, lean=False)
    errors = fit.se()
    found: NDArray[np.float64] = errors[
        [name for name in errors.index if name[0] == "x"]
    ].to_numpy()
    return found


def _only(there: bool) -> None:
    if not there:
        msg = "it has none"
        raise NotImplementedError(msg)


SIDES: dict[str, Callable[[Rows, Work], NDArray[np.float64]]] = {
    "gradstep": _gradstep,
    "statsmodels": _statsmodels,
    "glum": _glum,
    "polars-ds": _polars_ds,
    "pyfixest": _pyfixest,
}
WORKS = {
    "robust": Work("least squares, HC1", "normal"),
    "clustered": Work(f"least squares, {CLUSTERS:,} clusters", "normal", clustered=True),
    "logit": Work("logistic regression, HC0", "binomial"),
    "poisson": Work("Poisson regression, HC0", "poisson"),
    "gamma": Work("gamma regression, HC0", "gamma"),
}


class Result(NamedTuple):
    """What a side took in each round, and its standard errors; or why it was skipped."""

    seconds: list[float]
    cpu: list[float]
    errors: Any
    skipped: str = ""


def measure(rows: Rows, work: str, rounds: int, only: list[str]) -> dict[str, Result]:
    """Return what each side took, in turns."""
    results = {name: Result([], [], None) for name in SIDES if not only or name in only}
    for number in range(rounds + 1):
        for name, found in results.items():
            if found.skipped:
                continue
            gc.collect()
            wall, cpu = time.perf_counter(), time.process_time()
            try:
                errors = SIDES[name](rows, WORKS[work])
            except Exception as error:  # noqa: BLE001  (of whatever package)
                results[name] = Result([], [], None, f"{type(error).__name__}: {error}"[:80])
                continue
            seconds = time.perf_counter() - wall, time.process_time() - cpu
            if number:  # the first one compiles
                found.seconds.append(seconds[0])
                found.cpu.append(seconds[1])
            results[name] = found._replace(errors=errors)
    return results


def report(work: str, results: dict[str, Result]) -> None:
    """Print a table in Markdown; standard errors are compared with gradstep's."""
    print(f"\n| {WORKS[work].words} | seconds | CPU seconds | largest difference of errors |")
    print("|---|---|---|---|", flush=True)
    ours = results.get("gradstep")
    for name, found in results.items():
        if found.skipped:
            print(f"| {name} | – | – | skipped: {found.skipped} |")
            continue
        apart = np.nan
        if ours is not None and ours.errors is not None:
            apart = float(np.abs(found.errors / ours.errors - 1.0).max())
        told = f"{apart:.1e}" + (" (!)" if apart > AGREE else "")
        cells = [f"{median(each):.2f}" for each in (found.seconds, found.cpu)]
        print(f"| {name} {_version(name)} | {cells[0]} | {cells[1]} | {told} |", flush=True)


def _version(name: str) -> str:
    return gradstep.__version__ if name == "gradstep" else metadata.version(name)


def main(
    rows: Annotated[int, typer.Option(help="How many rows.")] = 1_000_000,
    features: Annotated[int, typer.Option(help="How many features.")] = 30,
    rounds: Annotated[int, typer.Option(help="Rounds that count.")] = 3,
    only: Annotated[str, typer.Option(help="Sides, comma between.")] = "",
    work: Annotated[str, typer.Option(help=f"Of {', '.join(WORKS)}; comma between.")] = "",
) -> None:
    """Print what each side took."""
    print(", ".join(f"{name} {value}" for name, value in describe_machine().items()))
    print(f"{rows:,} rows, {features} features")
    data = rows_of(rows, features)
    for each in work.split(",") if work else WORKS:
        report(each, measure(data, each, rounds, only.split(",") if only else []))


if __name__ == "__main__":
    typer.run(main)
