"""Frames of pandas and pyarrow, as queries of Polars."""

from __future__ import annotations

from typing import Any

import polars as pl

from gradstep.errors import InvalidTable

__all__ = ["query_of"]


def query_of(source: Any) -> pl.LazyFrame:
    """Return a pandas or pyarrow table as a Polars query."""
    kind = f"{type(source).__module__}.{type(source).__name__}"
    try:
        if kind.startswith("pandas."):
            names = [str(name) for name in source.columns]
            repeated = next((name for name in names if names.count(name) > 1), None)
            if repeated is not None:
                msg = f"the DataFrame has two columns {repeated!r}. Rename one of them."
                raise InvalidTable(msg)
            return _from_pandas(source).lazy()
        if hasattr(source, "__arrow_c_stream__") or kind.startswith("pyarrow."):
            return pl.DataFrame(source).lazy()
    except (pl.exceptions.PolarsError, TypeError, ImportError, ValueError) as error:
        if isinstance(error, InvalidTable):
            raise
        msg = f"the {type(source).__name__} cannot be read as a table: {error}"
        raise InvalidTable(msg) from error
    msg = (
        f"a table must be a path, a glob, a folder, a Polars, pandas or pyarrow frame, or a "
        f"LazyFrame; not {kind}."
    )
    raise InvalidTable(msg)


def _from_pandas(frame: Any) -> pl.DataFrame:
    """Return a pandas frame as a Polars one; columns of Python objects through their values."""
    columns: dict[str, pl.Series] = {}
    for position, name in enumerate(frame.columns):
        column = frame.iloc[:, position]
        if column.dtype.kind in "biuf" and not hasattr(column.dtype, "na_value"):
            columns[str(name)] = pl.Series(str(name), column.to_numpy())
        elif column.dtype.kind == "M":
            columns[str(name)] = pl.Series(str(name), column.to_numpy("datetime64[us]"))
        else:
            values = [None if gone else value for value, gone in
                      zip(column.tolist(), column.isna().tolist(), strict=True)]  # fmt: skip
            try:
                columns[str(name)] = pl.Series(str(name), values)
            except (TypeError, pl.exceptions.PolarsError):
                columns[str(name)] = pl.Series(
                    str(name), [None if v is None else str(v) for v in values]
                )
    return pl.DataFrame(columns)
