"""Signatures that are made once: scikit-learn asks for an estimator's at every clone."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["with_known_signature"]

F = TypeVar("F", bound="Callable[..., Any]")


def with_known_signature(function: F) -> F:
    """Decorate a function of many parameters: `inspect.signature` finds the same ready.

    Examples
    --------
    >>> def of_two(a, b=1): ...
    >>> signature(with_known_signature(of_two))
    <Signature (a, b=1)>
    """
    vars(function)["__signature__"] = signature(function)
    return function
