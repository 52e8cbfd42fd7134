"""Rows of a Dask Array: written once into a folder of plain arrays, where workers read them."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from dask.base import compute
from dask.delayed import delayed

from gradstep.data.preparing.prepared import new_array, write_rows
from gradstep.errors import InvalidData, InvalidTable
from gradstep.machines.dask_executor import DaskExecutor
from gradstep.mapped import mapped
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import DenseRows

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Arrays", "gather", "spread_arrays"]


class Arrays(NamedTuple):
    """Where rows lie that were a Dask Array: a place as `gradstep.machines.worker.Place` is one.

    Attributes
    ----------
    folder : str
        On storage that all workers share.
    part : str
        Which rows of it: "train" or "validation".
    token : str
        Tells this folder from others of the same name.
    """

    folder: str
    part: str
    token: str

    def open(self) -> Dataset:
        """Open the rows, on whatever machine."""

        def array(name: str) -> Any:
            return mapped(f"{self.folder}/{name}.npy")

        try:
            there = str(array(f"{self.part}_token"))
            names = array(f"{self.part}_names")
        except OSError:
            there, names = "", []
        if there != self.token:
            msg = (
                f"{self.folder} is not there for a worker: the rows of a Dask Array are written "
                "into gradstep's cache folder, which all workers must share (GRADSTEP_CACHE_DIR)."
            )
            raise InvalidTable(msg)
        more: dict[str, Any] = {name: np.array(array(f"{self.part}_{name}")) for name in names}
        return Dataset(DenseRows(array("X")), more.pop("y"), **more)


def gather(X: Any, folder: Path) -> tuple[NDArray[Any], bool]:
    """Have the workers write a Dask Array into a folder.

    Returns
    -------
    whole : ndarray
        The array, mapped into memory.
    finite : bool
        Whether the workers have found nothing but finite numbers.

    Raises
    ------
    InvalidData
        If it has no two dimensions, or holds something else than numbers.
    """
    kind = type(X._meta)  # noqa: SLF001  (of the blocks; there is no public name)
    if X.ndim != 2 or X.dtype.kind not in "biuf" or kind is not np.ndarray:
        msg = (
            f"X is a Dask Array of shape {X.shape} with {X.dtype} blocks of "
            f"{kind.__name__}: it must have two dimensions and blocks of numbers, which "
            "are NumPy arrays."
        )
        raise InvalidData(msg)
    if np.isnan(X.shape).any():
        X = X.compute_chunk_sizes()
    dtype = X.dtype if X.dtype == np.float32 else np.dtype(np.float64)
    whole = new_array(folder, "X", X.shape, dtype)
    if not whole.size:
        return whole, False
    blocks = X.rechunk({1: -1}).to_delayed().ravel()
    firsts = np.cumsum([0, *X.chunks[0]])
    write = delayed(_write_block)
    (finite,) = compute([
        write(folder / "X.npy", int(first), block, dtype)
        for first, block in zip(firsts, blocks, strict=False)
    ])  # fmt: skip
    return mapped(folder / "X.npy"), all(finite)


def _write_block(path: Path, first: int, block: Any, dtype: Any) -> bool:
    """Write a block, for no longer than a fit; return whether its numbers are finite."""
    rows = np.ascontiguousarray(block, dtype)
    write_rows(path, first, rows, lasting=False)
    return bool(np.isfinite(rows).all())


def spread_arrays(data: Dataset, folder: Path, part: str, client: Any) -> Dataset:
    """Return rows that lie in a folder, computed on by the workers of a cluster."""
    given = {"y": data.y, "sample_weight": data.sample_weight, "index": data.index}
    more = {name: array for name, array in given.items() if array is not None}
    token = secrets.token_hex(8)
    for name, array in {**more, "names": np.array(list(more)), "token": np.array(token)}.items():
        np.save(folder / f"{part}_{name}.npy", array)
    place: Any = Arrays(str(folder.absolute()), part, token)
    return replace(data, executor=DaskExecutor(client, place, data.shards()))
