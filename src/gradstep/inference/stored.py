"""A covariance as a model file keeps it: an array of its lower triangles, and what JSON holds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.engine.symmetric import symmetric
from gradstep.inference.covariance import KINDS
from gradstep.inference.record import Covariance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["from_stored", "stored"]

_FIELDS = ("kind", "n_rows", "rank", "clusters", "dispersion", "distance", "penalised", "degrees")


def stored(found: Covariance) -> tuple[dict[str, Any], NDArray[np.float64]]:
    """Return what describes a covariance, and its numbers, one after another."""
    content = {name: getattr(found, name) for name in _FIELDS}
    content["clusters"] = list(found.clusters)
    content["dispersion"] = float(found.dispersion.mean())  # of tables all outputs have the same
    content["undetermined"] = np.flatnonzero(found.undetermined).tolist()
    lower = np.tril_indices(found.matrix.shape[1])
    numbers = [block[lower] for block in found.matrix]
    if found.directions is not None:
        content["directions"] = len(found.directions)
        numbers.append(found.directions.ravel())
    return content, np.concatenate(numbers)


def from_stored(
    content: Mapping[str, Any], numbers: NDArray[np.float64], params: NDArray[np.float64],
    *, joint: bool,
) -> Covariance:  # fmt: skip
    """Return the covariance that was stored.

    Parameters
    ----------
    content, numbers
        As `stored` returned them.
    params : ndarray of shape (k, q)
        The parameters.
    joint : bool
        Whether the outputs are parameters of one block.

    Raises
    ------
    ValueError, TypeError, KeyError
        If they are not what `stored` returns for such parameters.
    """
    k, q = params.shape
    blocks, size = (1, k * q) if joint else (k, q)
    n, n_directions = blocks * size * (size + 1) // 2, content.get("directions", 0)
    if type(n_directions) is not int or not 0 <= n_directions <= k * q:
        msg = f"the covariance cannot have {n_directions!r} directions that no row tells of"
        raise ValueError(msg)
    if numbers.shape != (n + n_directions * k * q,) or not np.isfinite(numbers).all():
        msg = "the covariance has other numbers than its parameters ask for"
        raise ValueError(msg)
    fields = {name: content[name] for name in _FIELDS}
    whole = [fields["n_rows"], fields["rank"], *fields["clusters"], *content["undetermined"]]
    degrees = fields["degrees"]
    numbers_are_right = (
        type(content["undetermined"]) is list
        and type(fields["clusters"]) is list
        and fields["kind"] in {*KINDS, "cluster"}
        and type(fields["penalised"]) is bool
        and all(type(n) is int and n >= 0 for n in whole)
        and (degrees is None or (type(degrees) is int and degrees > 0))
        and all(
            isinstance(n, (int, float)) and not isinstance(n, bool) and math.isfinite(n) and n >= 0
            for n in (fields["dispersion"], fields["distance"])
        )
        and max(content["undetermined"], default=0) < k * q
    )
    if not numbers_are_right:
        msg = "what is told of the covariance is not what gradstep writes"
        raise ValueError(msg)
    lower = np.tril_indices(size)
    matrix = np.zeros((blocks, size, size))
    for block, own in zip(matrix, np.split(numbers[:n], blocks), strict=True):
        block[lower] = own
    matrix = symmetric(matrix)
    undetermined = np.zeros(k * q, bool)
    undetermined[content["undetermined"]] = True
    fields["clusters"] = tuple(fields["clusters"])
    fields["dispersion"] = np.full(k, float(fields["dispersion"]))
    if joint:
        params = params - params.mean(axis=0)
    return Covariance(
        matrix=matrix, params=params, undetermined=undetermined.reshape(k, q),
        directions=numbers[n:].reshape(-1, k, q) if "directions" in content else None, **fields,
    )  # fmt: skip
