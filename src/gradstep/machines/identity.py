"""What the last bits of compiled code depend on: versions, settings and the processor."""

from __future__ import annotations

import platform
from functools import cache

import llvmlite
import llvmlite.binding
import numba
import numpy as np

from gradstep.jit import folder_brought
from gradstep.version import VERSION
from gradstep.wheel_kernels import LEVEL

__all__ = ["identity"]


@cache
def identity() -> dict[str, str]:
    """Return what must be the same on two machines for their sums to have the same bits.

    Examples
    --------
    >>> sorted(identity())
    ['Python', 'gradstep', 'kernels', 'llvmlite', 'numba', 'numpy', 'processor']
    """
    features = llvmlite.binding.get_host_cpu_features().flatten()
    return {
        "gradstep": VERSION,
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "llvmlite": llvmlite.__version__,
        "kernels": f"for {LEVEL.processor}" if folder_brought() else "for the processor",
        "processor": f"{llvmlite.binding.get_host_cpu_name()} {features}",
    }
