"""X, y, weights and offsets as one table, whatever each of them came as."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from sklearn.utils.validation import validate_data

from gradstep.data.preparing.prepared import PreparedTable
from gradstep.data.sources.frames import query_of
from gradstep.errors import InvalidData, InvalidParameter

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["frame_of", "is_frame", "is_read", "joined", "library_of", "table_of"]


def is_read(X: Any) -> bool:
    """Tell whether a table is read in chunks: files, a query, or one that is prepared."""
    if isinstance(X, (list, tuple)):
        return bool(X) and all(isinstance(path, (str, Path)) for path in X)
    return isinstance(X, (str, Path, pl.LazyFrame, PreparedTable))


def is_frame(X: Any) -> bool:
    """Tell whether a table is a frame in memory, of whatever library."""
    return isinstance(X, pl.DataFrame) or (library_of(X) != "polars" and len(X.shape) == 2)


def library_of(X: Any) -> str:
    """Return the library whose frames are given back for this table."""
    home = type(X).__module__.partition(".")[0]
    return home if home in {"pandas", "pyarrow"} else "polars"


def frame_of(X: Any) -> pl.DataFrame:
    """Return a frame of whatever library as one of Polars."""
    return X if isinstance(X, pl.DataFrame) else query_of(X).collect()


def table_of(est: Any, X: Any, *, reset: bool) -> Any:
    """Return what `fit_table` and models read; sets or checks what scikit-learn knows of X.

    Parameters
    ----------
    est : TableRegressor or TableClassifier
        Whose table it is.
    X : table or array
        As it was given.
    reset : bool
        Whether it is the one to fit to.
    """
    of_array = not reset and not hasattr(est, "feature_names_in_")
    if is_read(X):
        return X
    if is_frame(X) and not of_array:
        return frame_of(X)
    X = validate_data(
        est, X, reset=reset, dtype=None, ensure_all_finite="allow-nan",
        ensure_min_samples=2 if reset else 1,
    )  # fmt: skip
    names = getattr(est, "feature_names_in_", [f"x{j}" for j in range(X.shape[1])])
    return pl.DataFrame([_column(str(name), X[:, j]) for j, name in enumerate(names)])


def _column(name: str, values: NDArray[Any]) -> pl.Series:
    """Return a column of an array; one of objects through its values, as numbers if they are."""
    if values.dtype.kind in "biuf":
        return pl.Series(name, values)
    try:
        return pl.Series(name, values.astype(np.float64))
    except (TypeError, ValueError):
        texts = [None if v is None or v != v else str(v) for v in values.tolist()]  # noqa: PLR0124
        return pl.Series(name, texts, pl.String)


def joined(table: Any, values: Any, role: str, called: str | None = None) -> tuple[Any, str | None]:
    """Return the table with a column that came apart, and what it is called there.

    Parameters
    ----------
    table : table
        As `table_of` returned it.
    values : str, array or None
        The name of a column that the table has, or one number for each row.
    role : str
        What it is.
    called : str, optional
        What its column is called, if no other is; by default what it is.
    """
    if values is None or isinstance(values, str):
        return table, values
    if not isinstance(table, pl.DataFrame):
        msg = (
            f"{role} must be the name of a column where X is not in memory (files, a query, a "
            "prepared table)."
        )
        raise InvalidParameter(msg)
    found = np.asarray(values)
    if found.shape != (table.height,):
        msg = f"{role} has shape {found.shape}, but X has {table.height} rows."
        raise InvalidData(msg)
    name = called or role
    while name in table.columns:
        name += "_"
    column = pl.Series(name, found if found.dtype.kind in "iuf" else found.tolist())
    return table.with_columns(column), name
