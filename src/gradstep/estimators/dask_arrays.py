"""Estimators on Dask Arrays: fitted by the cluster to the local model, predicting lazily."""

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
    from pathlib import Path

    from gradstep.rows.dataset import Dataset

__all__ = ["Cluster", "lazy_on_collections", "on_cluster", "takes_collections"]

F = TypeVar("F", bound="Callable[..., Any]")


@dataclass(frozen=True)
class Cluster:
    """Where the rows of a fit lie, and who computes on them."""

    folder: Path
    client: Any

    def spread(self, data: Dataset, part: str) -> Dataset:
        """Return rows that the cluster computes on."""
        from gradstep.machines.arrays import spread_arrays

        return spread_arrays(data, self.folder, part, self.client)


def on_cluster(est: Any, data: Dataset, held_out: Dataset | None, own: Dataset | None) -> Any:
    """Return rows to train on and held out, which a cluster computes on if they came from one."""
    cluster: Cluster | None = vars(est).get("_cluster")
    if cluster is None:
        return data, held_out
    if held_out is not None and held_out is not own:  # the user's own are in memory
        held_out = cluster.spread(held_out, "validation")
    return cluster.spread(data, "train"), held_out


def _is_collection(X: Any) -> bool:
    """Tell whether X is one of Dask's, without importing it."""
    if "dask" not in sys.modules or type(X).__module__.partition(".")[0] != "dask":
        return False
    if not hasattr(X, "to_delayed") or not hasattr(X, "map_blocks"):
        msg = (
            f"X is a {type(X).__module__}.{type(X).__name__}: of Dask's collections, arrays are "
            "taken. Pass X.to_dask_array(lengths=True)."
        )
        raise InvalidData(msg)
    return True


def takes_collections(fit: F) -> F:
    """Decorate `fit`: a Dask Array is written to a folder by the cluster, and read from there."""
    of = signature(fit)

    @wraps(fit)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = of.bind(self, *args, **kwargs).arguments
        if not _is_collection(given["X"]):
            for name in ("y", "sample_weight"):
                if hasattr(given.get(name), "dask"):
                    msg = f"{name} is a Dask collection, and X is not: give both alike."
                    raise InvalidData(msg)
            return fit(self, *args, **kwargs)
        from gradstep.cache_folder import private_folder
        from gradstep.files import temporary_folder
        from gradstep.machines.arrays import gather

        client = None
        with suppress(ImportError, ValueError):  # no cluster: Dask computes here, and so do we
            from distributed import get_client

            client = get_client()
        if getattr(self, "warm_start", False):
            msg = "warm_start=True starts from an earlier fit: of Dask Arrays each fit is anew."
            raise InvalidParameter(msg)
        for name in ("y", "sample_weight"):
            if hasattr(given.get(name), "compute"):
                given[name] = np.asarray(given[name].compute())
        with temporary_folder(private_folder("scratch")) as folder:
            given["X"] = gather(given["X"], folder)
            if client is not None:
                self._cluster = Cluster(folder, client)
            try:
                fit(**given)
            finally:
                vars(self).pop("_cluster", None)
        return self

    return wrapper  # type: ignore[return-value]


def lazy_on_collections(method: F) -> F:
    """Decorate what predicts: of a Dask Array comes another, computed when asked for."""

    @wraps(method)
    def wrapper(self: Any, X: Any) -> Any:
        if not _is_collection(X):
            return method(self, X)
        X = X if X.numblocks[1] == 1 else X.rechunk({1: -1})
        one = method(self, np.zeros((1, X.shape[1]), X.dtype))  # what comes of a row
        shape = {"drop_axis": 1} if one.ndim == 1 else {"chunks": (X.chunks[0], one.shape[1:])}
        return X.map_blocks(_Blocks(self, method.__name__), dtype=one.dtype, **shape)

    return wrapper  # type: ignore[return-value]


@dataclass(frozen=True)
class _Blocks:
    """Predicts a block; without rows there is nothing to predict."""

    est: Any
    method: str

    def __call__(self, block: Any) -> Any:
        """Return what is predicted for a block."""
        if not len(block):
            return getattr(self.est, self.method)(np.zeros((1, block.shape[1])))[:0]
        return getattr(self.est, self.method)(block)
