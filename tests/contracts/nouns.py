"""The nouns of the design, which classes of the package are one, and what each class owes.

Components are found by looking through every module of the package for classes with the
methods of a noun, so that one that is added and nowhere mentioned is found as well. Each duty is
a function from classes to the names of those that neglect it.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradstep
from gradstep.cli.progress import Progress
from gradstep.comparing.runs import Curve
from gradstep.engine.callbacks import Callbacks
from gradstep.estimators.sklearn_callbacks import Bridge
from gradstep.fit import components
from gradstep.fit.run import _Best
from gradstep.machines.arrays import NotHere
from gradstep.objective.penalties import Bounded, Scaled
from gradstep.objective.smoothed import Smoothed
from tests.contracts.callbacks import CALLBACKS
from tests.contracts.losses import JOINT_LOSSES, LOSSES
from tests.contracts.optimizers import OPTIMIZERS
from tests.contracts.penalties import PENALTIES
from tests.contracts.rows import ROWS
from tests.contracts.schedules import SCHEDULES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["DUTIES", "NOUNS", "Noun", "classes_of", "modules"]

DOCS = Path(__file__).parents[2] / "docs"
# What users never see: several callbacks as one, those of scikit-learn, those that watch a run on a
# table; a loss and penalties that are made of another one on the way; rows that are elsewhere.
NOT_COMPONENTS = {Bounded, Bridge, Callbacks, Curve, NotHere, Progress, Scaled, Smoothed, _Best}
CALLBACK_HOOKS = ("on_start", "on_epoch_end", "on_pause", "on_end")


def _named_tuple(cls: type) -> bool:
    return issubclass(cls, tuple) and hasattr(cls, "_fields")


def _has(cls: type, *methods: str) -> bool:
    return all(callable(getattr(cls, method, None)) for method in methods)


@dataclass(frozen=True)
class Noun:
    """A noun: how its classes are recognised, their cases, their names, their duties."""

    name: str
    recognises: Callable[[type], bool]
    cases: dict[type, Any]
    names: dict[str, Any] | None
    duties: tuple[str, ...]


_ALL = ("case", "docstring", "export", "docs")
NOUNS = {
    noun.name: noun
    for noun in (
        Noun(
            "loss",
            lambda c: _named_tuple(c) and (_has(c, "value", "slope") or _has(c, "row_slopes")),
            {**LOSSES, **JOINT_LOSSES},
            {**components.REGRESSION_LOSSES, **components.CLASSIFICATION_LOSSES},
            (*_ALL, "example", "name", "refusals"),
        ),
        Noun(
            "penalty",
            lambda c: _named_tuple(c) and _has(c, "value", "prox"),
            PENALTIES,
            dict(components.PENALTIES),
            (*_ALL, "example", "name", "refusals"),
        ),
        Noun(
            "optimizer",
            lambda c: _named_tuple(c) and _has(c, "n_slots", "step"),
            OPTIMIZERS,
            {name: lambda _, make=make: make() for name, make in components.OPTIMIZERS.items()},
            (*_ALL, "name", "refusals"),
        ),
        Noun(
            "schedule",
            lambda c: _named_tuple(c) and _has(c, "rates"),
            SCHEDULES,
            dict(components.LEARNING_RATES),
            (*_ALL, "name", "refusals"),
        ),
        Noun(
            "row layout",
            lambda c: _named_tuple(c) and _has(c, "tile_scores", "add_gradient"),
            ROWS,
            None,
            ("case", "docstring"),
        ),
        Noun(
            "callback",
            lambda c: (
                any(_has(c, hook) for hook in CALLBACK_HOOKS)
                and not getattr(c, "_is_protocol", False)
                and not c.__name__.startswith("_")
            ),
            CALLBACKS,
            None,
            _ALL,
        ),
    )
}


def modules() -> list[Any]:
    """Import every module of the package."""
    found = pkgutil.walk_packages(gradstep.__path__, "gradstep.")
    return [importlib.import_module(m.name) for m in found if m.name != "gradstep.__main__"]


def classes_of(noun: Noun) -> list[type]:
    """Return the package's classes that are of a noun, wherever they are defined."""
    found = {
        value
        for module in modules()
        for value in vars(module).values()
        if inspect.isclass(value)
        and value.__module__ == module.__name__
        and value not in NOT_COMPONENTS
        and noun.recognises(value)
    }
    return sorted(found, key=lambda c: c.__qualname__)


# --- duties: each returns what is missing -------------------------------------------------


def _docstring(cls: type) -> str:
    """Return the docstring that somebody wrote: NamedTuple makes one up, Name(field, ...)."""
    doc = inspect.cleandoc(cls.__doc__ or "")
    return "" if doc.startswith(f"{cls.__name__}(") else doc


def _shown_in(doc: str, name: str) -> bool:
    """Tell whether a page has a name in a code span or a code block."""
    code = re.findall(r"```.*?```|`[^`\n]+`", doc, re.DOTALL)
    return any(re.search(rf"\b{re.escape(name)}\b", part) for part in code)


def _case(noun: Noun, cls: type) -> bool:
    return cls in noun.cases


def _has_docstring(noun: Noun, cls: type) -> bool:
    """A docstring that mentions every hyper-parameter."""
    doc = _docstring(cls)
    return bool(doc) and all(re.search(rf"\b{f}\b", doc) for f in getattr(cls, "_fields", ()))


def _example(noun: Noun, cls: type) -> bool:
    return re.search(r"^Examples\n-+\n(.*\n)*?>>> ", _docstring(cls), re.MULTILINE) is not None


def _export(noun: Noun, cls: type) -> bool:
    home = importlib.import_module(cls.__module__)
    exported = cls.__name__ in gradstep.__all__ and getattr(gradstep, cls.__name__) is cls
    return exported and cls.__name__ in home.__all__


def _name(noun: Noun, cls: type) -> bool:
    """A name that makes it, or a reason in its case why it has none."""
    case = noun.cases.get(cls)
    if case is None or bool(case.name) == bool(case.unnamed):
        return False
    numbers = {"alpha": 0.1, "slope": lambda *_: -1.0}
    numbers |= dict.fromkeys(("epsilon", "quantile", "l1_ratio", "eta0", "power_t"), 0.5)
    makes = {type(make({**numbers, "power": 1.5})) for make in noun.names.values()}
    if case.unnamed:
        return cls not in makes
    return case.name in noun.names and type(noun.names[case.name]({**numbers, "power": 1.5})) is cls


def _docs(noun: Noun, cls: type) -> bool:
    """Its class or its name in the documentation; decision records do not count."""
    case = noun.cases.get(cls)
    names = [cls.__name__, *([case.name] if getattr(case, "name", "") else [])]
    pages = (page for page in DOCS.rglob("*.md") if DOCS / "adr" not in page.parents)
    texts = [page.read_text(encoding="utf-8") for page in pages]
    return any(_shown_in(text, name) for text in texts for name in names)


def _refusals(noun: Noun, cls: type) -> bool:
    """For each hyper-parameter a wrong value, or None if anything goes."""
    case = noun.cases.get(cls)
    return case is not None and set(case.refused) == set(cls._fields)


_CHECKS = {
    "case": _case,
    "docstring": _has_docstring,
    "example": _example,
    "export": _export,
    "name": _name,
    "docs": _docs,
    "refusals": _refusals,
}


def _neglecting(check: Callable[[Noun, type], bool]) -> Callable[[Noun, Iterable[type]], list[str]]:
    return lambda noun, classes: [cls.__name__ for cls in classes if not check(noun, cls)]


DUTIES: dict[str, Callable[[Noun, Iterable[type]], list[str]]] = {
    name: _neglecting(check) for name, check in _CHECKS.items()
}
