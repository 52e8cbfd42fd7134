"""One adapter per library: how it trains for k epochs on a problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.adapters.gradstep_fit import COMPARED, GradstepFit
from benchmarks.adapters.jax_scan import JaxScan
from benchmarks.adapters.numpy_loop import NumpyLoop
from benchmarks.adapters.sklearn_sgd import SklearnSGD
from benchmarks.adapters.torch_slices import TorchSlices

if TYPE_CHECKING:
    from benchmarks.adapters.base import Adapter

__all__ = ["all_adapters"]


def all_adapters() -> list[Adapter]:
    """Make a fresh adapter of each kind; gradstep's come first."""
    ours = [GradstepFit(name, options) for name, options in COMPARED.items()]
    return [*ours, SklearnSGD(), JaxScan(), TorchSlices(), NumpyLoop()]
