"""The recorded bits: where they are kept, and what they hold for."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import llvmlite.binding as llvm
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BITS", "bits_of", "machine"]

BITS = Path(__file__).parent / "bits.json"


def bits_of(params: NDArray[np.float64]) -> str:
    """Return the SHA-256 of parameters as little-endian float64."""
    return hashlib.sha256(np.ascontiguousarray(params, dtype="<f8").tobytes()).hexdigest()


def machine() -> dict[str, Any]:
    """Return what bits hold for: one build, on one kind of processor."""
    features = llvm.get_host_cpu_features().flatten()
    return {
        "processor": llvm.get_host_cpu_name(),
        "features": hashlib.sha256(features.encode()).hexdigest()[:16],
        **{name: version(name) for name in ("llvmlite", "numba", "numpy", "polars", "scipy")},
    }


def recorded() -> dict[str, Any]:
    """Return the record: "machine", and "bits" by the name of the fit."""
    record: dict[str, Any] = json.loads(BITS.read_text())
    return record
