"""The options of `prepare`: its result is a function of them and of the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gradstep.checks import check_choice, check_number
from gradstep.data.features.columns import MOST_HASH_BITS
from gradstep.data.features.terms.options import TERMS, TermOptions, as_terms
from gradstep.data.features.text import MOST_WORDS_ASKED
from gradstep.data.formats.date_format import DateFormat
from gradstep.data.roles import Offset
from gradstep.data.sources.read_options import ReadOptions
from gradstep.errors import InvalidParameter, nearest
from gradstep.parameters import given
from gradstep.renamed import under_new_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import polars as pl

    from gradstep.data.preparing.first_pass import FirstPass
    from gradstep.rows.dataset import Dataset

__all__ = [
    "CLUSTER_ROLES",
    "MOST_FEATURES",
    "NAMES",
    "Each",
    "InOnePass",
    "PrepareOptions",
    "Progress",
    "options_of",
    "refuse_unknown",
]

# Called with what is done, "reading" or "encoding", and how many rows so far. If it has a
# `position`, that is called before, with bytes of the files so far and in all (0 if not known);
# then it is also called with "unpacking" and "fetching", whose rows are not known.
Progress = Callable[[str, int], None]
# Runs a task on each piece of a table (`gradstep.data.sources.pieces`), or what else tells tasks
# apart: what comes of them, in order.
Each = Callable[[Any, "Sequence[Any]"], "Iterable[Any]"]


class InOnePass(Protocol):
    """Takes along in the first pass over a table what makes a second one unnecessary."""

    def begin(self, first_pass: FirstPass) -> Callable[[pl.DataFrame, int], None] | None:
        """Return what is called with each chunk and the number of its first row, if anything.

        A first pass that has to begin again, as a column was read wrong, says so here once more.
        """

    def rows(self, first_pass: FirstPass) -> tuple[Dataset, Dataset | None] | None:
        """Return rows to train on and rows held out; None if more is needed of them."""


# Fields that users know by another name, that of the estimators' parameters.
NAMES = {"seed": "random_state", "time": "time_column", "weight": "sample_weight"}
_UTF_8 = ("encoding", "")  # which is not given: thousands="" is
# Roles of columns that may be features as well; rows are clustered one way, or two.
CLUSTER_ROLES = ("cluster column", "second cluster column")
_FEATURES_TOO = {"time column", *CLUSTER_ROLES}
_KINDS = ("number", "category", "date", "hash", "text")
MOST_FEATURES = (1 << 31) - 1  # their indices are of 32 bits


@dataclass(frozen=True)
class PrepareOptions(TermOptions):
    """The options of `prepare`: its result is a function of them and of the table.

    Attributes
    ----------
    target : str
        The column to predict.
    task : {"auto", "classification", "regression"}
        What to predict: by default classes for text, booleans and numbers of two values.
    weight, offset, exposure, time : str, optional
        Columns with row weights, with an offset of the score (a log exposure) or with the exposure
        itself, with the time that validation rows are split off by.
    clusters : tuple of str
        One or two columns whose values say which rows belong together, kept for standard errors.
    class_weight : "balanced" or tuple of (label, weight), optional
        What rows count by their class, besides their own weights.
    drop, only : tuple of str
        Columns to leave out; if given, the only ones to use.
    kinds : tuple of (str, str)
        Columns with the kind to treat them as: number, category, date, date:PATTERN, hash,
        hash:BITS.
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
    decimal, thousands : str, optional
        The marks in all numbers of text, by default what the values of a column tell.
    na : tuple of str
        Values that are missing, besides the usual ones.
    encoding : str
        Of text files; by default UTF-8, or what a byte-order mark says.
    splines, crosses, polynomials, logs : tuple
        Terms (`gradstep.data.features.terms.options.TermOptions`).
    chosen_for : str
        Of terms that are to be chosen: by what loss.
    """

    target: str
    task: str = "auto"
    weight: str | None = None
    offset: str | None = None
    time: str | None = None
    clusters: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    kinds: tuple[tuple[str, str], ...] = ()
    max_levels: int = 1000
    validation: float = 0.1
    missing: str = "encode"
    missing_target: str = "drop"
    log_power: float | None = None
    seed: int = 0
    exposure: str | None = None
    class_weight: str | tuple[tuple[Any, float], ...] | None = None
    decimal: str | None = None
    thousands: str | None = None
    na: tuple[str, ...] = ()
    encoding: str = ""
    splines: tuple[tuple[str, int], ...] = ()
    crosses: tuple[tuple[str, str], ...] = ()
    polynomials: tuple[tuple[str, int], ...] = ()
    logs: tuple[str, ...] = ()
    chosen_for: str | None = None

    @property
    def reading(self) -> ReadOptions:
        """How text is to be read."""
        return ReadOptions(self.decimal, self.thousands, self.na, self.encoding)

    @property
    def shift(self) -> Offset | None:
        """What is added to scores."""
        return Offset.of(self.offset, self.exposure)

    @property
    def roles(self) -> dict[str, str]:
        """The columns that are no features, or not only, by what they are."""
        roles = {"target": self.target, "weight": self.weight, "offset": self.offset,
                 "exposure": self.exposure, "time column": self.time,
                 **dict(zip(CLUSTER_ROLES, self.clusters, strict=False))}  # fmt: skip
        return {role: column for role, column in roles.items() if column is not None}

    @property
    def no_features(self) -> list[str]:
        """The columns with a role that keeps them from being features; time and clusters do not."""
        return [column for role, column in self.roles.items() if role not in _FEATURES_TOO]

    @property
    def named(self) -> Iterator[tuple[str, str]]:
        """The columns that something was asked of, each with the parameter that asked it."""
        for parameter in ("drop", "only"):
            for column in getattr(self, parameter):
                yield column, given(parameter, [column])
        for column, kind in self.kinds:
            yield column, given("kinds", {column: kind})
        yield from self.named_in_terms

    def role_of(self, column: str) -> str:
        """Return what a column is besides a feature; empty if nothing."""
        return next((role for role, name in self.roles.items() if name == column), "")

    def to_json(self) -> dict[str, Any]:
        """Return what was given, for the record: without what is None or empty."""
        return {k: v for k, v in vars(self).items() if v not in (None, ()) and (k, v) != _UTF_8}

    def check(self) -> None:
        """Refuse what is not allowed."""
        for column, kind in self.kinds:
            name, _, bits = kind.partition(":")
            if name == "date" and bits:
                _check_pattern(column, bits)
                continue
            sized = name in {"hash", "text"}
            if name not in _KINDS or (bits and (not sized or not bits.isdecimal())):
                msg = (
                    f"{column}={kind} is no kind of column.{nearest(kind, _KINDS)} It must be one "
                    f"of {', '.join(_KINDS)}, hash:BITS, text:WORDS or date:PATTERN "
                    "(date:%d/%m/%Y)."
                )
                raise InvalidParameter(msg)
            if name == "text" and bits and not 1 <= int(bits) <= MOST_WORDS_ASKED:
                msg = f"{column}={kind}: the words must be from 1 to {MOST_WORDS_ASKED:,}."
                raise InvalidParameter(msg)
            if name == "hash" and bits and not 1 <= int(bits) <= MOST_HASH_BITS:
                msg = f"{column}={kind}: the bits of a hash must be from 1 to {MOST_HASH_BITS}."
                raise InvalidParameter(msg)
        choices = {
            "task": ("auto", "classification", "regression"),
            "missing": ("encode", "error"),
            "missing_target": ("drop", "error"),
        }
        for name, allowed in choices.items():
            check_choice("prepare", name, getattr(self, name), allowed)
        self.reading.check()
        check_number("prepare", "validation", self.validation, low=0.0, high=1.0, open_high=True)
        check_number("prepare", "max_levels", self.max_levels, low=1, whole=True)
        check_number("prepare", "random_state", self.seed, low=0, whole=True)
        if self.offset is not None and self.exposure is not None:
            msg = (
                f"offset={self.offset!r} is added to the score, and so is the logarithm of "
                f"exposure={self.exposure!r}: give one of the two."
            )
            raise InvalidParameter(msg)
        if len(set(self.no_features)) < len(self.no_features):
            offset = self.offset or self.exposure
            msg = (
                f"Target {self.target!r}, weight {self.weight!r} and offset {offset!r} must "
                "be different columns."
            )
            raise InvalidParameter(msg)
        self._check_clusters()
        self._check_class_weight()
        self.check_terms()

    def _check_clusters(self) -> None:
        if len(set(self.clusters)) < len(self.clusters) or len(self.clusters) > len(CLUSTER_ROLES):
            msg = (
                f"Rows are clustered by one column, or by two different ones; not by "
                f"{', '.join(map(repr, self.clusters))}."
            )
            raise InvalidParameter(msg)
        if self.target in self.clusters:
            msg = f"The target {self.target!r} cannot say which rows belong together."
            raise InvalidParameter(msg)

    def _check_class_weight(self) -> None:
        if isinstance(self.class_weight, tuple):
            for label, weight in self.class_weight:
                check_number("prepare", f"class_weight[{label!r}]", weight, low=0.0, open_low=True)
        elif self.class_weight not in {None, "balanced"}:
            msg = (
                f"class_weight={self.class_weight!r} must be 'balanced', or weights by class such "
                "as {'yes': 5.0}."
            )
            raise InvalidParameter(msg)


def _check_pattern(column: str, pattern: str) -> None:
    try:
        DateFormat(pattern).check()
    except ValueError as error:
        msg = f"{column}=date:{pattern}: {error}."
        raise InvalidParameter(msg) from None


def refuse_unknown(function: str, options: Iterable[str], own: Iterable[str] = ()) -> None:
    """Refuse an option that `prepare` does not have; the function's own may be what was meant."""
    known = [NAMES.get(name, name) for name in PrepareOptions.__dataclass_fields__]
    known.remove("target")
    for name in options:
        if name not in known:
            msg = f"{function} has no parameter {name!r}.{nearest(name, [*known, *own])}"
            raise InvalidParameter(msg)


def options_of(target: str, options: Mapping[str, Any]) -> PrepareOptions:
    """Return the options that keyword arguments give, checked."""
    given = under_new_names("prepare", options)
    found = {k: v.item() if isinstance(v, np.generic) else v for k, v in given.items()}
    for name in ("drop", "only", "na", "clusters"):
        if isinstance(found.get(name), str):
            found[name] = (found[name],)
        elif name in found:
            found[name] = tuple(found[name] or ())
    found |= dict.fromkeys(TERMS, ()) | as_terms(found)
    kinds = found.get("kinds")
    if kinds is not None:
        found["kinds"] = tuple(sorted(dict(kinds).items()))
    if isinstance(found.get("class_weight"), dict):
        found["class_weight"] = tuple(found["class_weight"].items())
    refuse_unknown("prepare", found)
    fields = {name: field for field, name in NAMES.items()}
    checked = PrepareOptions(target, **{fields.get(k, k): v for k, v in found.items()})
    checked.check()
    return checked
