"""What is run: each batch size with each optimizer, learning rate and order of rows."""

from __future__ import annotations

import math
from collections.abc import Callable  # noqa: TC003  (of tables of functions below)
from dataclasses import dataclass
from itertools import product
from numbers import Real
from typing import TYPE_CHECKING, Any

from gradstep.checks import check_choice, check_number
from gradstep.errors import InvalidParameter
from gradstep.fit.components import optimizer_of
from gradstep.optim.solvers import is_automatic

if TYPE_CHECKING:
    from gradstep.rows.dataset import Dataset

__all__ = ["ALL", "MOST_RUNS", "Trial", "trials_of"]

ALL = "all"  # rows: a batch of them
MOST_RUNS = 24
_ORDERS = ("exact", "blocks", "none", True, False)


@dataclass(frozen=True)
class Trial:
    """What one run is told.

    Attributes
    ----------
    name : str
        What it is called: what tells it from the others.
    batch_size : int or "all"
        Rows of a batch.
    optimizer, learning_rate, shuffle
        As of `MiniBatchRegressor`.
    """

    name: str
    batch_size: int | str
    optimizer: Any
    learning_rate: Any
    shuffle: Any

    def rows_of_batch(self, data: Dataset) -> int:
        """Return how many rows a batch has."""
        return data.n if isinstance(self.batch_size, str) else min(self.batch_size, data.n)


def trials_of(batch_size: Any, optimizer: Any, learning_rate: Any, shuffle: Any) -> list[Trial]:
    """Return all combinations of what was given, each a value or a list of some.

    Raises
    ------
    InvalidParameter
        If a value is not allowed, or the combinations are too many to be looked at.

    Examples
    --------
    >>> [trial.name for trial in trials_of([1, 64, "all"], "sgd", 0.05, True)]
    ['batch 1', 'batch 64', 'all rows']
    >>> [trial.name for trial in trials_of(64, ["sgd", "adam"], [0.1, 0.01], True)]
    ['sgd, rate 0.1', 'sgd, rate 0.01', 'adam, rate 0.1', 'adam, rate 0.01']
    """
    given = {
        "batch_size": _several(batch_size),
        "optimizer": _several(optimizer),
        "learning_rate": _several(learning_rate),
        "shuffle": _several(shuffle),
    }
    for parameter, values in given.items():
        if not values:
            msg = f"{parameter}={values!r} is an empty list: give one value or more."
            raise InvalidParameter(msg)
        for value in values:
            _CHECKS[parameter](value)
    _refuse_many(given)
    varied = [name for name, values in given.items() if len(values) > 1] or ["batch_size"]
    found: dict[str, Trial] = {}
    for chosen in product(*given.values()):
        of = dict(zip(given, chosen, strict=True))
        name = ", ".join(_IN_WORDS[parameter](of[parameter]) for parameter in varied)
        found.setdefault(name, Trial(name, *chosen))
    return list(found.values())


def _several(value: Any) -> list[Any]:
    """Return a value in a list, or the list that it is; components are tuples, and one value."""
    if isinstance(value, list) or type(value) is tuple:
        return list(value)
    return [value]


def _refuse_many(given: dict[str, list[Any]]) -> None:
    n = math.prod(map(len, given.values()))
    if n > MOST_RUNS:
        sizes = " × ".join(
            f"{len(values)} {_MANY[parameter]}" for parameter, values in given.items() if values[1:]
        )
        msg = (
            f"These are {n} runs ({sizes}), more than one can tell apart: at most {MOST_RUNS} are "
            "compared. Leave values out, or compare one parameter after another."
        )
        raise InvalidParameter(msg)


def _check_batch_size(size: Any) -> None:
    if size == ALL:
        return
    if isinstance(size, str):
        msg = f"batch_size={size!r} must be a number of rows, such as 64, or 'all'."
        raise InvalidParameter(msg)
    check_number("compare", "batch_size", size, low=1, whole=True)


def _check_optimizer(optimizer: Any) -> None:
    if optimizer == "auto" or is_automatic(optimizer_of(optimizer)):
        msg = (
            f"optimizer={optimizer!r} is the automatic method, which every run is compared with: "
            "it takes no batch size and no rate. Name one of the textbook's, such as sgd, "
            "momentum or adam."
        )
        raise InvalidParameter(msg)


def _check_rate(_rate: Any) -> None:
    """Leave it: it is checked with all other settings, once they are known."""


def _check_order(shuffle: Any) -> None:
    if not callable(shuffle):
        check_choice("compare", "shuffle", shuffle, _ORDERS)


def _size_in_words(size: Any) -> str:
    return "all rows" if size == ALL else f"batch {size}"


def _rate_in_words(rate: Any) -> str:
    return f"rate {rate:g}" if isinstance(rate, Real) else f"rate {rate}"


def _optimizer_in_words(optimizer: Any) -> str:
    return optimizer if isinstance(optimizer, str) else repr(optimizer)


def _order_in_words(shuffle: Any) -> str:
    if callable(shuffle):
        return f"order {getattr(shuffle, '__name__', 'of your own')}"
    if shuffle == "blocks":
        return "shuffled by blocks"
    return "shuffled" if shuffle in {True, "exact"} else "not shuffled"


_CHECKS: dict[str, Callable[[Any], None]] = {
    "batch_size": _check_batch_size,
    "optimizer": _check_optimizer,
    "learning_rate": _check_rate,
    "shuffle": _check_order,
}
_IN_WORDS: dict[str, Callable[[Any], str]] = {
    "batch_size": _size_in_words,
    "optimizer": _optimizer_in_words,
    "learning_rate": _rate_in_words,
    "shuffle": _order_in_words,
}
_MANY = {
    "batch_size": "batch sizes",
    "optimizer": "optimizers",
    "learning_rate": "learning rates",
    "shuffle": "orders of rows",
}
