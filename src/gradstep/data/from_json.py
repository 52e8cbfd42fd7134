"""Records from JSON that anyone may have written: each field has its type, or it is refused.

What a file claims is checked here before anything is made of it, so that a few bytes can neither
ask for gigabytes nor name what does not exist.
"""

from __future__ import annotations

from inspect import get_annotations
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["is_text", "record"]


def is_text(value: Any) -> bool:
    """Tell whether a value is text that can be written; half of a surrogate pair cannot."""
    return isinstance(value, str) and value.encode("utf-8", "replace").decode() == value


# By the annotation of a field. True is no number, although Python counts with it.
_IS: Mapping[str, Callable[[Any], bool]] = {
    "str": is_text,
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: type(value) is int,
    "float": lambda value: type(value) is float or (type(value) is int and abs(value) < 1 << 64),
    "Loss": lambda value: hasattr(value, "slope"),
    "tuple[str, ...]": lambda value: isinstance(value, list) and all(map(is_text, value)),
    "tuple[int, ...]": lambda value: (
        isinstance(value, list) and all(type(x) is int and abs(x) < 1 << 63 for x in value)
    ),
    "tuple[float, ...]": lambda value: isinstance(value, list) and all(map(_IS["float"], value)),
}


def record(kind: type, fields: Mapping[str, Any]) -> Any:
    """Return a dataclass or NamedTuple with these fields, if each is of the type that it declares.

    Raises
    ------
    ValueError, TypeError, OverflowError
        If one is not, or is missing, or unknown.

    Examples
    --------
    >>> from gradstep.data.features.encoding import HashColumn
    >>> record(HashColumn, {"source": "id", "bits": 6})
    HashColumn(source='id', bits=6)
    """
    declares = {k: v for each in reversed(kind.__mro__) for k, v in get_annotations(each).items()}
    made: dict[str, Any] = {}
    for name, value in fields.items():
        declared = declares.get(name, "")
        wanted = str(getattr(declared, "__forward_arg__", declared))  # as a NamedTuple has it
        if wanted not in _IS or not _IS[wanted](value):
            msg = f"{name} of {kind.__name__} is {value!r:.60}, which is no {wanted or 'field'}"
            raise ValueError(msg)
        # compiled code takes each number as the type that it was compiled for
        made[name] = float(value) if wanted == "float" else value
        if isinstance(value, list):
            made[name] = tuple(value)
    return kind(**made)
