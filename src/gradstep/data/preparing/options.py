"""The options of `prepare`: its result is a function of them and of the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.checks import check_choice, check_number
from gradstep.errors import InvalidParameter, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["MOST_FEATURES", "MOST_HASH_BITS", "Each", "PrepareOptions", "Progress", "options_of"]

# Called with what is done, "reading" or "encoding", and how many rows so far.
Progress = Callable[[str, int], None]
# Runs a task on each piece of a table (`gradstep.data.sources.pieces`), or what else tells tasks
# apart: what comes of them, in order.
Each = Callable[[Any, "Sequence[Any]"], "Iterable[Any]"]

_KINDS = ("number", "category", "date", "hash")
MOST_HASH_BITS = 24
MOST_FEATURES = (1 << 31) - 1  # their indices are of 32 bits


@dataclass(frozen=True)
class PrepareOptions:
    """The options of `prepare`: its result is a function of them and of the table.

    Attributes
    ----------
    target : str
        The column to predict.
    task : {"auto", "classification", "regression"}
        What to predict: by default classes for text, booleans and numbers of two values.
    weight, offset, time : str, optional
        Columns with row weights, with an offset of the score (a log exposure), with the time
        that validation rows are split off by.
    drop, only : tuple of str
        Columns to leave out; if given, the only ones to use.
    kinds : tuple of (str, str)
        Columns with the kind to treat them as: number, category, date, hash, hash:BITS.
    max_levels : int
        Levels of a category with a feature of their own.
    validation : float
        Share of the rows to hold out; 0 for none.
    missing : {"encode", "error"}
        Whether missing values are encoded or refused.
    missing_target : {"drop", "error"}
        Whether rows without a target are dropped, and counted, or refused.
    log_power : float or None
        For an offset: the power of the loss's variance (0 squared error to 2 gamma) if its link
        is the logarithm; None for a loss of y - score.
    seed : int
        What the shuffle and the choice of validation rows depend on.
    """

    target: str
    task: str = "auto"
    weight: str | None = None
    offset: str | None = None
    time: str | None = None
    drop: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    kinds: tuple[tuple[str, str], ...] = ()
    max_levels: int = 1000
    validation: float = 0.1
    missing: str = "encode"
    missing_target: str = "drop"
    log_power: float | None = None
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return what was given, for the record: without what is None or empty."""
        return {k: v for k, v in vars(self).items() if v not in (None, ())}

    def check(self) -> None:
        """Refuse what is not allowed."""
        for column, kind in self.kinds:
            name, _, bits = kind.partition(":")
            if name not in _KINDS or (bits and (name != "hash" or not bits.isdecimal())):
                msg = (
                    f"{column}={kind} is no kind of column.{nearest(kind, _KINDS)} It must be one "
                    f"of {', '.join(_KINDS)}, or hash:BITS."
                )
                raise InvalidParameter(msg)
            if bits and not 1 <= int(bits) <= MOST_HASH_BITS:
                msg = f"{column}={kind}: the bits of a hash must be from 1 to {MOST_HASH_BITS}."
                raise InvalidParameter(msg)
        choices = {
            "task": ("auto", "classification", "regression"),
            "missing": ("encode", "error"),
            "missing_target": ("drop", "error"),
        }
        for name, allowed in choices.items():
            check_choice("prepare", name, getattr(self, name), allowed)
        check_number("prepare", "validation", self.validation, low=0.0, high=1.0, open_high=True)
        check_number("prepare", "max_levels", self.max_levels, low=1, whole=True)
        check_number("prepare", "seed", self.seed, low=0, whole=True)
        roles = [role for role in (self.target, self.weight, self.offset) if role is not None]
        if len(set(roles)) < len(roles):
            msg = (
                f"Target {self.target!r}, weight {self.weight!r} and offset {self.offset!r} must "
                "be different columns."
            )
            raise InvalidParameter(msg)


def options_of(target: str, options: Mapping[str, Any]) -> PrepareOptions:
    """Return the options that keyword arguments give, checked."""
    found = {k: v.item() if isinstance(v, np.generic) else v for k, v in options.items()}
    for name in ("drop", "only"):
        if isinstance(found.get(name), str):
            found[name] = (found[name],)
        elif name in found:
            found[name] = tuple(found[name] or ())
    kinds = found.get("kinds")
    if kinds is not None:
        found["kinds"] = tuple(sorted(dict(kinds).items()))
    known = PrepareOptions.__dataclass_fields__
    for name in found:
        if name not in known or name == "target":
            msg = f"prepare has no parameter {name!r}.{nearest(name, known)}"
            raise InvalidParameter(msg)
    checked = PrepareOptions(target, **found)
    checked.check()
    return checked
