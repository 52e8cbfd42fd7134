"""The encoding of sparse text: features as they stand in the file, by their indices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.data.preparing.options import MOST_FEATURES
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import CsrRows

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gradstep.rows.layouts import Rows

__all__ = ["SparseEncoding", "widest"]

_FEW_FEATURES = 1 << 24  # 128 MB of weights
_FEATURES_AN_ENTRY = 64


def widest(entries: int) -> int:
    """Return how many features are plausible for so many entries.

    A model has a number for each, whether any row has it or not: a file of a few bytes whose one
    index is two billions asks for gigabytes.
    """
    return max(_FEW_FEATURES, _FEATURES_AN_ENTRY * entries)


@dataclass(frozen=True)
class SparseEncoding:
    """Numbered features; nothing is scaled.

    Attributes
    ----------
    width : int
        The largest index, plus one.
    columns, numbers, read_as_numbers, coded, placed : tuple
        What an `Encoding` has of named columns: nothing.
    """

    width: int
    columns: tuple[Any, ...] = ()
    numbers: tuple[Any, ...] = ()
    read_as_numbers: tuple[Any, ...] = ()
    coded: tuple[Any, ...] = ()
    placed: tuple[Any, ...] = ()

    @property
    def has_terms(self) -> bool:
        """Whether anything is more than a column on its own: nothing."""
        return False

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.width

    @property
    def sources(self) -> list[str]:
        """Named columns that are read: none."""
        return []

    def feature_name(self, index: int) -> str:
        """Return what a feature is called: its index."""
        return str(index)

    def feature_names(self) -> list[str]:
        """Return what the features are called."""
        return [str(index) for index in range(self.width)]

    def encode(self, chunk: Any, _unseen: Counter[str] | None = None) -> Any:
        """Return the rows of a chunk of sparse text."""
        return chunk.rows

    def rows(self, encoded: Any) -> Rows:
        """Return rows as they are."""
        rows: Rows = encoded
        return rows

    def dataset(self, arrays: Mapping[str, Any], *, shuffled: bool) -> Dataset:
        """Return the dataset whose parts are these arrays."""
        rows = CsrRows(arrays["values"], arrays["columns"], arrays["starts"], self.width)
        return Dataset(rows, arrays["y"], shuffled=shuffled)

    def check(self, arrays: Mapping[str, Any]) -> bool:
        """Tell whether rows and their entries lie within the arrays: kernels do not check."""
        rows = CsrRows(arrays["values"], arrays["columns"], arrays["starts"], self.width)
        if self.width > widest(rows.columns.size):
            return False
        return rows.is_sound() and int(rows.starts[-1]) == rows.columns.size == rows.values.size

    def layout(self, n: int) -> dict[str, tuple[tuple[int, ...] | None, Any]]:
        """Return shape (None: any length) and type of the arrays of n rows."""
        return {
            "values": (None, np.float64),
            "columns": (None, np.int32),
            "starts": ((n + 1,), np.int64),
            "y": ((n, 1), np.float64),
        }

    def stored_in(self) -> NDArray[np.float64]:
        """Return ones: numbers are stored as they are."""
        return np.ones(self.n_features)

    def in_units(
        self, coef: NDArray[np.float64], intercept: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return coefficients and intercepts as they are."""
        return coef, intercept

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` takes."""
        return {"sparse": self.width, "columns": []}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> SparseEncoding:
        """Return the encoding that `to_json` wrote."""
        width = content["sparse"]
        if type(width) is not int or not 1 <= width <= MOST_FEATURES:
            msg = f"{width!r:.60} is no number of features"
            raise ValueError(msg)
        return cls(width)
