"""The tables that are read: drawn block by block, so that none is ever held in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from scipy import sparse

TARGET = "target"
LABEL = "label"
FEATURES = 20
NOISE = 0.5
BLOCK_ROWS = 1 << 18
DIGITS = 6  # behind the point, in text

MIXED_NUMBERS = 8
MIXED_CATEGORIES = 8
LEVELS = 200


@dataclass(frozen=True)
class Mixed:
    """A table of numbers and categories, and the same as a sparse matrix.

    Attributes
    ----------
    frame : polars.DataFrame
        Numbers, categories as text, and the target.
    X : csr_array of shape (n, 8 + 8 · 200)
        Numbers, then a column for each level, float64.
    y : ndarray of shape (n,)
        The target.
    """

    frame: pl.DataFrame
    X: sparse.csr_array
    y: NDArray[np.float64]


def names() -> list[str]:
    """List the features of the linear table."""
    return [f"x{j}" for j in range(FEATURES)]


def blocks(rows: int) -> Iterator[pl.DataFrame]:
    """Draw a linear model with noise on standard normal columns.

    Parameters
    ----------
    rows : int
        Rows of the table.

    Yields
    ------
    polars.DataFrame
        The next rows, 20 features and the target, float32; the same for the same place.
    """
    weights = np.random.default_rng(FEATURES).standard_normal(FEATURES)
    for first in range(0, rows, BLOCK_ROWS):
        rng = np.random.default_rng([FEATURES, first])
        X = rng.standard_normal((min(BLOCK_ROWS, rows - first), FEATURES), np.float32)
        y = X @ weights + NOISE * rng.standard_normal(len(X))
        frame = pl.DataFrame(np.asfortranarray(X), schema=names())
        yield frame.with_columns(pl.Series(TARGET, y.astype(np.float32)))


def write_parquet(path: Path, rows: int) -> None:
    """Write the linear table as Parquet, a row group for each block.

    Parameters
    ----------
    path : Path
        The file.
    rows : int
        Rows of the table.
    """
    from polars.io.plugins import register_io_source

    def source(
        with_columns: list[str] | None, predicate: Any, n_rows: int | None, size: int | None
    ) -> Iterator[pl.DataFrame]:
        del predicate, n_rows, size  # nothing is pushed into a sink's source
        for block in blocks(rows):
            yield block.select(with_columns) if with_columns else block

    schema = pl.Schema(dict.fromkeys([*names(), TARGET], pl.Float32))
    lazy = register_io_source(source, schema=schema)
    lazy.sink_parquet(path, row_group_size=BLOCK_ROWS)


def write_csv(path: Path, rows: int) -> None:
    """Write the linear table as CSV.

    Parameters
    ----------
    path : Path
        The file.
    rows : int
        Rows of the table.
    """
    with path.open("wb") as file:
        for number, block in enumerate(blocks(rows)):
            block.write_csv(file, include_header=number == 0, float_precision=DIGITS)


def write_vw(csv: Path, path: Path) -> None:
    """Write a CSV of the linear table in the text format of Vowpal Wabbit, with the same digits.

    Parameters
    ----------
    csv : Path
        The table, the target last.
    path : Path
        The file; features are called 0, 1, …, which it need not hash.
    """
    frame = pl.read_csv(csv, infer_schema=False)
    parts: list[Any] = [pl.col(TARGET), pl.lit(" |")]
    for j, name in enumerate(names()):
        parts += [pl.lit(f" {j}:"), pl.col(name)]
    lines = frame.select(pl.concat_str(parts))
    lines.write_csv(path, include_header=False, quote_style="never")


def mixed(rows: int) -> Mixed:
    """Draw a linear model on 8 numbers and 8 categories of 200 levels.

    Parameters
    ----------
    rows : int
        Rows of the table.

    Returns
    -------
    Mixed
        The table in both forms.
    """
    from scipy import sparse
    from sklearn.preprocessing import OneHotEncoder

    rng = np.random.default_rng(LEVELS)
    numbers = rng.standard_normal((rows, MIXED_NUMBERS))
    codes = rng.integers(LEVELS, size=(rows, MIXED_CATEGORIES))
    effects = rng.standard_normal((MIXED_CATEGORIES, LEVELS))
    y = numbers @ rng.standard_normal(MIXED_NUMBERS)
    y += effects[np.arange(MIXED_CATEGORIES), codes].sum(axis=1)
    y += NOISE * rng.standard_normal(rows)
    levels = np.array([f"level {code:03d}" for code in range(LEVELS)])
    columns: dict[str, Any] = {f"n{j}": numbers[:, j] for j in range(MIXED_NUMBERS)}
    columns |= {f"c{j}": levels[codes[:, j]] for j in range(MIXED_CATEGORIES)}
    hot = OneHotEncoder(dtype=np.float64).fit_transform(codes)
    X = sparse.csr_array(sparse.hstack([sparse.csr_array(numbers), hot], format="csr"))
    return Mixed(pl.DataFrame(columns | {TARGET: y}), X, y)


def labelled(rows: int) -> pl.DataFrame:
    """Draw a logistic model on standard normal columns, its rows in random order.

    Parameters
    ----------
    rows : int
        Rows of the table.

    Returns
    -------
    polars.DataFrame
        20 features, float32, and a label "no" or "yes".
    """
    rng = np.random.default_rng(rows)
    X = rng.standard_normal((rows, FEATURES), np.float32)
    z = X @ (rng.standard_normal(FEATURES) * (2.0 / FEATURES**0.5))
    label = np.where(rng.random(rows) < 1.0 / (1.0 + np.exp(-z)), "yes", "no")
    frame = pl.DataFrame(np.asfortranarray(X), schema=names())
    return frame.with_columns(pl.Series(LABEL, label))
