"""The peers: a file for each library, which says by what sides it can do a task.

To add a library, write a file with ``PACKAGE``, its distribution on PyPI; ``MODULE``, what is
imported; and ``sides(task, small_batches=...)``, which returns a list of `Side`; name it in
`PEERS`, and pin the package in ``benchmarks/constraints.txt``. A side's form of the data is made in
``sides``, off the clock. Sides that take a step for a few rows are returned only if
``small_batches`` asks for them: they seldom come near an optimum.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module, metadata, util
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.solvers.cases import Task
    from benchmarks.solvers.side import Side

__all__ = ["PEERS", "sides", "versions"]

PEERS = (  # those that take longest last: a case's time may be up before
    "scikit_learn", "glum", "skglm", "celer", "snapml", "polars_ds", "jax", "torch", "statsmodels",
    "river", "vowpal",
)  # fmt: skip


def sides(task: Task, *, small_batches: bool) -> Iterator[tuple[str, Callable[[], list[Side]]]]:
    """Yield each library that is installed, and what makes its sides of a task."""
    for name in PEERS:
        peer = import_module(f"{__name__}.{name}")
        if util.find_spec(peer.MODULE) is not None:
            yield peer.PACKAGE, partial(peer.sides, task, small_batches=small_batches)


def versions() -> dict[str, str]:
    """Return the version of each library, gradstep's first, and of what they compute with."""
    packages = ["gradstep", *(import_module(f"{__name__}.{name}").PACKAGE for name in PEERS)]
    return {package: _version(package) for package in [*packages, "optax", "numpy", "scipy"]}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
