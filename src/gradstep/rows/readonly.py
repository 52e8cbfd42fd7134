"""Read-only views: one Numba type for what is only read, whether or not it could be written."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["readonly"]


def readonly(data: Any) -> Any:
    """Return read-only views of an array, or of the arrays in a NamedTuple.

    Numba compiles again for a writable array after a read-only one (a memory map, a pandas
    column): always passing views of one kind compiles once.
    """
    if isinstance(data, np.ndarray):
        view = data.view()
        view.flags.writeable = False
        return view
    if isinstance(data, tuple):
        return type(data)(*(readonly(part) for part in data))
    return data
