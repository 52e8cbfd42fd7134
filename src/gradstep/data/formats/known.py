"""The formats that a column of text may have, as a prepared table and a model keep them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradstep.data.formats.date_format import DateFormat, IsoDates
from gradstep.data.formats.number_format import NumberFormat
from gradstep.data.from_json import record

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["format_of"]

_FORMATS: dict[str, Any] = {f.__name__: f for f in (NumberFormat, DateFormat, IsoDates)}


def format_of(fields: Mapping[str, Any]) -> NumberFormat | DateFormat | IsoDates:
    """Return the format that `to_json` wrote, if it is one."""
    given = {k: v for k, v in fields.items() if k not in {"column", "kind"}}
    found: NumberFormat | DateFormat | IsoDates = record(_FORMATS[fields["kind"]], given)
    found.check()
    return found
