"""Calling a compiled kernel with components: built in, or of a user's own."""

from __future__ import annotations

from functools import cache
from itertools import chain
from typing import Any

from numba.core.errors import NumbaError

from gradstep.engine.kernels.compiled_losses import not_compiled
from gradstep.jit import compiled

__all__ = ["is_same", "launch"]


def _classes(component: Any) -> tuple[type, ...]:
    """Return the class of a component, and those of the components in it; a tuple is none."""
    own = (type(component),) if hasattr(component, "_fields") else ()
    inner = (_classes(field) for field in component if isinstance(field, tuple))
    return (*own, *chain.from_iterable(inner))


def is_same(one: Any, other: Any) -> bool:
    """Tell whether two components are the same: NamedTuples compare as tuples, of any class."""
    return one is other or (one == other and _classes(one) == _classes(other))


@cache
def _are_built_in(classes: tuple[type, ...]) -> bool:
    return all(c.__module__.startswith("gradstep.") for c in classes)


@cache
def _kernel_of_their_own(kernel: Any, _classes: tuple[type, ...]) -> Any:
    return compiled(kernel.py_func)


def launch(kernel: Any, components: tuple[Any, ...], *arguments: Any) -> Any:
    """Call a kernel with components and arguments, in that order after the data.

    Numba tells NamedTuples apart by the names of their classes when it looks for code that it
    has compiled, so classes of a user's own, which may have any name, get kernels of their own.

    Parameters
    ----------
    kernel : compiled function
        One whose first three arguments are the data, and whose next are the components.
    components : tuple
        Compiled loss, penalty and optimizer, where the kernel takes them.
    *arguments
        Rows, targets, weights; then what comes after the components.

    Raises
    ------
    InvalidComponent
        If a component cannot be compiled.
    """
    classes = tuple(chain.from_iterable(map(_classes, components)))
    if not _are_built_in(classes) and hasattr(kernel, "py_func"):
        kernel = _kernel_of_their_own(kernel, classes)
    try:
        return kernel(*arguments[:3], *components, *arguments[3:])
    except NumbaError as error:
        raise not_compiled(classes, error) from error
