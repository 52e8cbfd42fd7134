"""How many rows of a column have no value, and which is the first: part of each column profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

__all__ = ["add_missing", "add_nulls", "merge_missing"]


class _Profile(Protocol):
    missing: int
    first_missing: int


def add_missing(profile: _Profile, n: int, rows: NDArray[np.int64], first: int) -> None:
    """Count n of the next rows, which have these numbers in the table; `first` is among them."""
    if n and profile.first_missing < 0:
        profile.first_missing = int(rows[first])
    profile.missing += n


def add_nulls(profile: _Profile, series: pl.Series, rows: NDArray[np.int64]) -> None:
    """Count the next rows that are null."""
    if n := series.null_count():
        add_missing(profile, n, rows, series.is_null().arg_max() or 0)


def merge_missing(profile: _Profile, later: _Profile, shift: int) -> None:
    """Add what is known of later rows, whose numbers are counted from `shift`."""
    if profile.first_missing < 0 <= later.first_missing:
        profile.first_missing = later.first_missing + shift
    profile.missing += later.missing
