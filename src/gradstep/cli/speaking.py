"""Messages as the command line words them: `--task regression`, not `task='regression'`."""

from __future__ import annotations

import ast
import re
import shlex
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["PARAMETERS", "in_options", "known_as", "spoken"]

_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_COMPONENT = r"\b[A-Z]\w*\([^()]*\)"  # as Python writes it: Huber(epsilon=0.1)
_WORD = re.compile(r"\.\.\.|-?[\w.+-]*\w")
_OWNER = re.compile(r" of (?:fit_table|prepare|compare|[A-Z]\w+)\b")  # of no interest here
# What options are called, where that is not the name in Python.
_CALLED = {
    "kinds": "as", "bounds": "bound", "splines": "spline", "crosses": "cross",
    "polynomials": "poly", "logs": "log", "clusters": "cluster",
}  # fmt: skip


# What options are called in Python; a test holds that these are all, and no others.
PARAMETERS = frozenset({
    "allow_mixed", "alpha", "batch_size", "bounds", "cache", "checkpoint_every", "class_weight",
    "clusters", "crosses", "cv", "decimal", "drop", "encoding", "epsilon", "exposure", "formula",
    "ignore", "inference", "kinds", "l1_ratio", "learning_rate", "logs", "loss", "max_iter",
    "max_levels", "memory", "missing", "missing_target", "monotone", "n_iter_no_change", "na",
    "nonnegative", "offset", "only", "optimizer", "penalty", "penalty_scale", "polynomials",
    "power", "quantile", "random_state", "refit", "sample_weight", "splines", "task", "thousands",
    "time_column", "tol", "validation",
})  # fmt: skip


def spoken(message: str) -> str:
    """Return a message with the options of the command line for parameters."""
    return in_options(message, PARAMETERS)


def known_as(parameter: str) -> str:
    """Return the option of a parameter.

    Examples
    --------
    >>> known_as("max_iter"), known_as("kinds")
    ('--max-iter', '--as')
    """
    return f"--{_CALLED.get(parameter, parameter).replace('_', '-')}"


def in_options(message: str, parameters: Iterable[str]) -> str:
    r"""Return a message with parameters and their values as they are typed.

    Parameters are read as Python reads them; what stands in quotation marks, as names of columns
    do, is left alone.

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
    >>> in_options('leave "drop=3" out (drop=["drop=3", "a b"])', ["drop"])
    'leave "drop=3" out (--drop \'drop=3,a b\')'
    """
    names = "|".join(map(re.escape, sorted(parameters)))
    start = re.compile(rf"(?<!\w)(?:{_QUOTED})|{_COMPONENT}|(?<![\w.-])({names})=(?=[\S])")
    parts, at = [], 0
    while found := start.search(message, at):
        end = found.end()
        parts.append(message[at : found.start()])
        last = 0 if found[1] is None else _end_of_literal(message, end)
        if last <= end:
            parts.append(found[0])
        else:
            parts.append(_typed(found[1], message[end:last]))
            owner = _OWNER.match(message, last)
            end = last if owner is None else owner.end()
        at = end
    return "".join([*parts, message[at:]])


def _end_of_literal(text: str, at: int) -> int:
    """Return where a value ends that begins there; there itself, if none does."""
    token, depth = re.compile(rf"{_QUOTED}|[\[\]{{}}()]|."), 0
    if text[at] not in "[{'\"":
        word = _WORD.match(text, at)
        return at if word is None else word.end()
    for found in token.finditer(text, at):
        depth += (found[0] in "[{(") - (found[0] in ")}]")
        if depth == 0:
            return found.end()
    return at


def _typed(name: str, literal: str) -> str:
    """Return the option that says what a parameter with a value does."""
    value: Any = literal
    if literal != "...":
        with suppress(SyntaxError, ValueError):
            value = ast.literal_eval(literal)
    option = known_as(name)
    if value is True or value in ("...", [...]):
        return option
    if value is False:
        return f"--no-{option.removeprefix('--')}"
    if isinstance(value, dict):
        each = [f"{_escaped(k)}={v}" for k, v in value.items()]
        return " ".join(f"{option} {shlex.quote(one)}" for one in each)
    if isinstance(value, list | tuple):
        one = ",".join(map(_escaped, value))
        return f"{option}{'=' if one.startswith('-') else ' '}{shlex.quote(one)}"
    text = "none" if value is None else literal if not isinstance(value, str) else value
    return f"{option} {shlex.quote(text)}"


def _escaped(value: Any) -> str:
    """Return an element of a list as it is typed: a comma would begin another."""
    return str(value).replace(",", "\\,")
