"""What a prepared folder says of itself, and what its arrays hold, checked before they are used.

Compiled code follows codes of classes and of features unchecked: a folder that was damaged,
or made by someone else, is refused here.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.data.from_json import is_text
from gradstep.errors import InvalidTable
from gradstep.objective.losses import target_range

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from gradstep.data.roles import Target
    from gradstep.rows.dataset import Dataset

    _Test = Callable[[NDArray[Any]], Any]

__all__ = ["check_meta", "check_numbers", "check_range"]

_FILE = re.compile(r"(train|validation)_[a-z]+\.npy")
_KNOWN = ("low", "high", "mean", "deviation")  # of a target that is a number
_ROWS = 1 << 18  # that are checked together


def _is_number(value: Any) -> bool:
    return isinstance(value, float | int)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_map(value: Any, key: Callable[[Any], bool], of: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and all(key(k) and of(v) for k, v in value.items())


def _is_profile(known: Any) -> bool:
    return _is_map(known, is_text, lambda value: value is None or _is_number(value))


_META: Mapping[str, Callable[[Any], bool]] = {
    "files": lambda files: _is_map(
        files,
        lambda name: _FILE.fullmatch(name) is not None,
        lambda known: _is_count(known["bytes"]) and isinstance(known["sha256"], str | None),
    ),
    "rows": lambda rows: (
        _is_map(rows, is_text, _is_count)
        and rows["train"] > 0
        and {"read", "dropped", "validation"} <= set(rows)
    ),
    "source": is_text,
    "version": is_text,
    "fingerprint": lambda files: isinstance(files, list),
    "asked": lambda asked: (
        _is_count(asked["seed"])
        and is_text(asked.get("offset", ""))
        and is_text(asked.get("exposure", ""))
        and isinstance(asked.get("clusters", []), list | tuple)
        and all(map(is_text, asked.get("clusters", [])))
        and (asked.get("log_power") is None or _is_number(asked["log_power"]))
    ),
    "target": lambda target: (
        is_text(target["column"])
        and (target["classes"] is not None or all(map(_is_number, map(target.get, _KNOWN))))
    ),
    "warnings": lambda found: isinstance(found, list) and all(map(is_text, found)),
    "columns": lambda columns: _is_map(columns, is_text, _is_profile),
    "unseen": lambda unseen: _is_map(unseen, is_text, _is_count),
}


def check_meta(meta: Mapping[str, Any]) -> None:
    """Refuse what does not describe a prepared table: a part is missing, or is something else.

    Raises
    ------
    ValueError, KeyError, TypeError, AttributeError
        If it does not. The names of its files lead nowhere else.
    """
    weights = meta.get("class_weights", [])
    if not (
        isinstance(weights, list) and all(_is_number(w) and 0.0 < w < math.inf for w in weights)
    ):
        msg = f"class_weights is {weights!r:.80}"
        raise ValueError(msg)
    if not is_text(meta.get("chosen", "")):
        msg = f"chosen is {meta['chosen']!r:.80}"
        raise ValueError(msg)
    for part, holds in _META.items():
        if not holds(meta[part]):
            msg = f"{part} is {meta[part]!r:.80}"
            raise ValueError(msg)


def check_numbers(folder: Path, part: str, arrays: Mapping[str, Any], target: Target) -> None:
    """Refuse targets, weights and offsets that no training may meet.

    Parameters
    ----------
    folder : Path
        Where the arrays lie.
    part : {"train", "validation"}
        Which of them these are.
    arrays : mapping
        Of all names; checked in pieces, so that they need not fit into memory.
    target : Target
        The classes; without any, targets are finite numbers.

    Raises
    ------
    InvalidTable
        With file, row and value.
    """
    is_target, wanted = _targets(0 if target.classes is None else len(target.classes))
    holds: dict[str, tuple[_Test, str]] = {
        "y": (is_target, wanted),
        "weight": (lambda weight: (weight >= 0.0) & (weight < np.inf), "a finite number from 0 on"),
        "offset": (np.isfinite, "a finite number"),
    }
    for noun in (name for name in holds if name in arrays):
        allowed, words = holds[noun]
        array = arrays[noun]
        for lo in range(0, len(array), _ROWS):
            piece = array[lo : lo + _ROWS].reshape(-1)
            good = allowed(piece)
            if not good.all():
                at = int(good.argmin())
                msg = (
                    f"{folder / f'{part}_{noun}.npy'} holds {piece[at]:g} in row {lo + at + 1} (of "
                    f"its rows, from 1), which is not {words}: the prepared table is damaged. "
                    "Delete the folder and prepare the table again."
                )
                raise InvalidTable(msg)
    if "weight" in arrays and len(arrays["weight"]) and not arrays["weight"].any():
        msg = (
            f"{folder / f'{part}_weight.npy'} holds nothing but zeros: no row counts. Delete the "
            "folder and prepare the table again."
        )
        raise InvalidTable(msg)


def _targets(k: int) -> tuple[_Test, str]:
    """Return what holds of targets of k classes, 0 for numbers; as a test and in words."""
    if k == 0:
        return np.isfinite, "a finite number"
    if k == 2:
        return lambda y: np.abs(y) == 1.0, "-1 or 1"
    return lambda y: (y >= 0.0) & (y < k) & (np.floor(y) == y), f"one of the classes 0 to {k - 1}"


def check_range(loss: Any, target: Target, *parts: Dataset | None) -> None:
    """Refuse parts of a prepared table that have targets outside the loss's range."""
    allowed = target_range(loss)
    for data in parts:
        if data is None or target.classes is not None or allowed.low == -math.inf:
            continue
        low = data.y.min()
        if not allowed.holds(low):
            msg = (
                f"The target {target.column!r} goes down to {low:g}; the loss "
                f"{type(loss).__name__} needs {allowed}. Use another loss, or correct the column."
            )
            raise InvalidTable(msg)
