"""Estimators on Dask's collections: fitted by the cluster to the local model, predicting lazily."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from gradstep.errors import InvalidData, InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradstep.rows.dataset import Dataset

__all__ = ["Cluster", "as_given", "lazy_on_collections", "on_cluster", "takes_collections"]

F = TypeVar("F", bound="Callable[..., Any]")


@dataclass(frozen=True)
class Cluster:
    """The rows of a fit, and who keeps them and computes on them."""

    X: Any
    client: Any

    def spread(self, data: Dataset) -> Dataset:
        """Return rows that the cluster computes on."""
        from gradstep.machines.arrays import keep_blocks

        return keep_blocks(data, self.X, self.client)


def on_cluster(est: Any, data: Dataset, held_out: Dataset | None, own: Dataset | None) -> Any:
    """Return rows to train on and held out, which a cluster computes on if they came from one."""
    cluster: Cluster | None = vars(est).get("_cluster")
    if cluster is None:
        return data, held_out
    if held_out is not None and held_out is not own:  # the user's own are in memory
        held_out = cluster.spread(held_out)
    return cluster.spread(data), held_out


def as_given(est: Any, X: Any, y: Any, weight: Any) -> tuple[Any, Any, Any]:
    """Return the arguments of `fit` for the user's callbacks: of what workers keep, the array."""
    cluster: Cluster | None = vars(est).get("_cluster")
    return X if cluster is None else cluster.X, y, weight


def _is_collection(X: Any) -> bool:
    """Tell whether X is one of Dask's, without importing it."""
    if "dask" not in sys.modules or type(X).__module__.partition(".")[0] != "dask":
        return False
    if hasattr(X, "map_blocks") or _is_frame(X):
        return True
    msg = (
        f"X is a {type(X).__module__}.{type(X).__name__}: of Dask's collections, arrays and data "
        "frames are taken."
    )
    raise InvalidData(msg)


def _is_frame(X: Any) -> bool:
    return hasattr(X, "to_dask_array") and hasattr(X, "columns")


def _as_array(X: Any) -> Any:
    """Return the Dask Array of a Dask DataFrame of numbers."""
    for name, kind in X.dtypes.items():
        if getattr(kind, "kind", "O") not in "biuf":
            msg = (
                f"Column {name!r} of X holds {kind}: estimators take numbers. Turn it into some, "
                "or write the frame to Parquet and train on that (fit_table, gradstep.prepare), "
                "which takes categories and dates."
            )
            raise InvalidData(msg)
    single = all(kind == np.float32 for kind in X.dtypes)
    return X.astype(np.float32 if single else np.float64).to_dask_array(lengths=True)


def _refuse_collections(given: dict[str, Any]) -> None:
    """Refuse a target and weights of Dask's beside rows that are not."""
    for name in ("y", "sample_weight"):
        if hasattr(given.get(name), "dask"):
            msg = f"{name} is a Dask collection, and X is not: give both alike."
            raise InvalidData(msg)


def _current_client() -> Any:
    """Return the client; None without a cluster: Dask computes here, and so do we."""
    with suppress(ImportError, ValueError):
        from distributed import get_client

        return get_client()
    return None


def takes_collections(fit: F) -> F:
    """Decorate `fit`: the workers of the current client keep a collection, and compute on it.

    Without a client it is written to a folder, and read from there.
    """
    of = signature(fit)

    @wraps(fit)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = of.bind(self, *args, **kwargs).arguments if "dask" in sys.modules else {}
        if not _is_collection(given.get("X")):
            _refuse_collections(given)
            return fit(self, *args, **kwargs)
        from gradstep.cache_folder import private_folder
        from gradstep.files import temporary_folder
        from gradstep.machines.arrays import checked, kept, written

        client = _current_client()
        if getattr(self, "warm_start", False):
            msg = "warm_start=True starts from an earlier fit: of Dask's collections each is anew."
            raise InvalidParameter(msg)
        for name in ("y", "sample_weight"):
            if hasattr(given.get(name), "compute"):
                given[name] = np.asarray(given[name].compute())
        X, names = given["X"], None
        if _is_frame(X):
            X, names = _as_array(X), np.array(X.columns, object)
        with temporary_folder(private_folder("scratch")) as folder:
            X = checked(X)
            if client is None:
                given["X"] = written(X, folder)
            else:
                X, given["X"], finite = kept(X, folder, client)
                self._finite = given["X"] if finite else None
                self._cluster = Cluster(X, client)
            try:
                fit(**given)
            finally:
                for name in ("_cluster", "_finite"):
                    vars(self).pop(name, None)
        if names is not None and all(isinstance(name, str) for name in names):
            self.feature_names_in_ = names
        return self

    return wrapper  # type: ignore[return-value]


def lazy_on_collections(method: F) -> F:
    """Decorate what predicts: of a collection comes a Dask Array, computed when asked for."""

    @wraps(method)
    def wrapper(self: Any, X: Any) -> Any:
        if not _is_collection(X):
            return method(self, X)
        blocks = _Blocks(self, method.__name__)
        if _is_frame(X):
            return _of_frame(blocks, X)
        X = X if X.numblocks[1] == 1 else X.rechunk({1: -1})
        one = method(self, np.zeros((1, X.shape[1]), X.dtype))  # what comes of a row
        shape = {"drop_axis": 1} if one.ndim == 1 else {"chunks": (X.chunks[0], one.shape[1:])}
        return X.map_blocks(blocks, dtype=one.dtype, **shape)

    return wrapper  # type: ignore[return-value]


@dataclass(frozen=True)
class _Blocks:
    """Predicts a block, or a partition; without rows there is nothing to predict."""

    est: Any
    method: str

    def __call__(self, block: Any) -> Any:
        """Return what is predicted for a block."""
        predict = getattr(self.est, self.method)
        return predict(block) if len(block) else predict(_row_like(block))[:0]


def _row_like(block: Any) -> Any:
    """Return a row of zeros with the columns of a block."""
    row = np.zeros((1, block.shape[1]))
    return type(block)(row, columns=block.columns) if hasattr(block, "columns") else row


def _of_frame(blocks: _Blocks, X: Any) -> Any:
    """Return what is predicted for the partitions of a Dask DataFrame: by its columns' names."""
    import dask.array
    from dask.delayed import delayed

    arrays: Any = dask.array
    one = blocks(X._meta)  # it has no rows; says now if columns are others
    predict, shape = delayed(blocks), (np.nan, *one.shape[1:])
    parts = [arrays.from_delayed(predict(part), shape, one.dtype) for part in X.to_delayed()]
    return arrays.concatenate(parts, allow_unknown_chunksizes=True)
