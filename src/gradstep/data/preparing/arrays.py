"""The arrays of a prepared folder: opened, and compared with what the folder says of itself."""

from __future__ import annotations

from tokenize import TokenError
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.errors import InvalidTable
from gradstep.mapped import mapped

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from gradstep.data.features.encoding import Encoding
    from gradstep.data.features.sparse_encoding import SparseEncoding

__all__ = ["arrays_of"]

# What NumPy raises where a header of .npy is damaged.
_UNREADABLE = (
    OSError, ValueError, EOFError, SyntaxError, TypeError, OverflowError, MemoryError, TokenError,
)  # fmt: skip


def arrays_of(
    folder: Path,
    part: str,
    meta: dict[str, Any],
    encoding: Encoding | SparseEncoding,
    *,
    trusted: bool = False,
) -> dict[str, NDArray[Any]]:
    """Return the arrays of a part of the table, by name, mapped from their files.

    Parameters
    ----------
    folder : Path
        The folder.
    part : {"train", "validation"}
        Which rows.
    meta : dict
        What the folder says of itself.
    encoding : Encoding or SparseEncoding
        What became of each column, which says what arrays there are.
    trusted : bool
        Whether indices need not be checked again.

    Raises
    ------
    InvalidTable
        If one is missing, unreadable, or of another type, shape or range.
    """
    found: dict[str, NDArray[Any]] = {}
    n = meta["rows"][part]
    layout = encoding.layout(n)
    expected = layout | dict.fromkeys(("weight", "offset"), ((n,), np.float64))
    expected["clusters"] = ((n, len(meta["asked"].get("clusters", ()))), np.int64)
    for name in sorted(meta["files"]):
        if not name.startswith(f"{part}_"):
            continue
        path, noun = folder / name, name.removeprefix(f"{part}_").removesuffix(".npy")
        try:
            empty = path.stat().st_size < 200 and 0 in mapped(path, copied=True).shape
            array = mapped(path, copied=empty)
        except _UNREADABLE as error:
            msg = f"{path} cannot be read ({error}): the prepared table is damaged."
            raise InvalidTable(msg) from error
        shape, dtype = expected.get(noun, ((), None))
        shape = array.shape if shape is None else shape
        if array.shape != shape or array.dtype != dtype or not array.flags.c_contiguous:
            msg = (
                f"{path} holds {array.dtype} numbers of shape {array.shape} where {shape} are "
                "expected: the prepared table is damaged. Delete the folder and prepare again."
            )
            raise InvalidTable(msg)
        found[noun] = array
    missing = layout.keys() - found.keys()
    if missing and (n or found):
        msg = (
            f"{folder / f'{part}_{min(missing)}.npy'} is no part of the table: the prepared table "
            "is damaged. Delete the folder and prepare the table again."
        )
        raise InvalidTable(msg)
    if found and not trusted and not encoding.check(found):
        paths = [folder / f"{part}_{noun}.npy" for noun in found if found[noun].dtype.kind in "iu"]
        msg = (
            f"{' or '.join(map(str, paths))} holds indices of features that there are not: the "
            "prepared table is damaged. Delete the folder and prepare the table again."
        )
        raise InvalidTable(msg)
    return found
