"""How messages speak of parameters: as Python writes them, ``drop=["x"]``.

Every message and note is written for Python. The command line, which alone knows its options, reads
parameters in them as Python would, and says ``--drop x`` (`gradstep.cli.speaking`).
"""

from __future__ import annotations

import json
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["given", "names_of"]


def given(name: str, value: Any = ...) -> str:
    """Return a parameter with its value as it is written in a call; ``...`` for any value.

    Examples
    --------
    >>> given("drop", ["x"]), given("kinds", {"x": "category"}), given("refit", False)
    ('drop=["x"]', 'kinds={"x": "category"}', 'refit=False')
    >>> given("encoding")
    'encoding=...'
    """
    return f"{name}={_literal(value)}"


def _literal(value: Any) -> str:
    if value is ...:
        return "..."
    if getattr(value, "ndim", None) == 0:  # a number of NumPy
        value = value.item()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_literal(k)}: {_literal(v)}' for k, v in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_literal, value))}]"
    text = repr(value)
    return "..." if text.startswith("<") else text  # of a function, which has no other text


def names_of(function: Callable[..., Any]) -> list[str]:
    """Return the parameters that a function has by name.

    Examples
    --------
    >>> names_of(lambda table, *, loss, **options: None)
    ['table', 'loss']
    """
    found = signature(function).parameters.values()
    return [each.name for each in found if each.kind is not Parameter.VAR_KEYWORD]
