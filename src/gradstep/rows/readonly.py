"""Read-only views: one Numba type for what is only read, whether or not it could be written."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["readonly"]


def readonly(data: Any) -> Any:
    """Return read-only views of an array, or of the arrays in a NamedTuple.

    Numba compiles again for a writable array after a read-only one (a pandas column): always
    passing views of one kind compiles once. A view of a memory map is a plain array, since Numba
    takes some microseconds to tell the type of any other.
    """
    if isinstance(data, np.ndarray):
        if type(data) is np.ndarray and not data.flags.writeable:
            return data
        view = data.view(np.ndarray)
        view.flags.writeable = False
        return view
    if isinstance(data, tuple):
        return type(data)(*(readonly(part) for part in data))
    return data
