"""Errors as the command line words them: `--task regression`, not `task='regression'`."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["in_options"]

_VALUE = r"'[^']*'|\"[^\"]*\"|-?[\w.+-]*\w"
_COMPONENT = r"\b[A-Z]\w*\([^()]*\)"  # as Python writes it: Huber(epsilon=0.1)
_QUOTES = "'\""
_OWNER = r"(?: of (?:fit_table|prepare|compare|[A-Z]\w+)\b)?"  # whose it is: of no interest here


def in_options(message: str, parameters: Iterable[str]) -> str:
    """Return a message with parameters and their values as they are typed.

    Parameters
    ----------
    message : str
        As Python's users read it.
    parameters : iterable of str
        Those that are options, by their names in Python.

    Examples
    --------
    >>> in_options("max_iter=0 of fit_table must be a whole number >= 1.", ["max_iter"])
    '--max-iter 0 must be a whole number >= 1.'
    >>> in_options("Use task='classification', or correct the column.", ["task"])
    'Use --task classification, or correct the column.'
    >>> in_options("with Huber(epsilon=0.1) there is none", ["epsilon"])
    'with Huber(epsilon=0.1) there is none'
    """
    names = "|".join(map(re.escape, parameters))
    typed = re.compile(rf"{_COMPONENT}|(?<![\w.-])({names})=({_VALUE}){_OWNER}")

    def option(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0]
        return f"--{found[1].replace('_', '-')} {shlex.quote(found[2].strip(_QUOTES))}"

    return typed.sub(option, message)
