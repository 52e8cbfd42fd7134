"""What the target is: numbers, or which classes; and whether it can be learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from gradstep.checks import OUT_OF_RANGE, out_of_range
from gradstep.data.features.profile import LevelProfile, kind_of
from gradstep.data.roles import MOST_CLASSES, Target, classes_of_numbers
from gradstep.diagnostics.of_tables import MANY_CLASSES
from gradstep.errors import InvalidParameter, InvalidTable
from gradstep.parameters import given

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradstep.data.preparing.first_pass import FirstPass
    from gradstep.data.preparing.options import PrepareOptions
    from gradstep.data.sources.table import Table
    from gradstep.diagnostics.diagnostic import Note

__all__ = ["kind_of_target", "target_of"]

_MANY_CLASSES = 50


def kind_of_target(table: Table, options: PrepareOptions) -> str:
    """Return what the column of the target holds: "number" or "category".

    Raises
    ------
    InvalidTable, InvalidParameter
        If it holds something else, or is to be treated as something else.
    """
    dtype = table.schema[options.target]
    kind, as_kind = kind_of(dtype), dict(options.kinds).get(options.target)
    if dtype == pl.Null:
        msg = f"The target {options.target!r} is missing in every row of {table.name}."
        raise InvalidTable(msg)
    if kind in {"date", "nothing"}:
        msg = f"The target {options.target!r} has type {dtype}, which cannot be predicted."
        raise InvalidTable(msg)
    asked = {None, kind, "category", *(["number"] if dtype == pl.String else [])}
    if as_kind not in asked or (as_kind == "category" and options.task == "regression"):
        why = (
            f"with task='regression': {given('kinds', {options.target: 'category'})} makes its "
            "values classes"
            if as_kind == "category"
            else "here: only as 'category', for classification"
        )
        msg = f"The target {options.target!r} cannot be treated as {as_kind!r} {why}."
        raise InvalidParameter(msg)
    if as_kind == "category" or (dtype == pl.Boolean and options.task != "regression"):
        return "category"
    return kind


def target_of(first_pass: FirstPass) -> Target:
    """Return the target of a table that has been read.

    Raises
    ------
    InvalidTable, InvalidParameter
        If there is nothing to learn, or not what was asked for.
    """
    options, profile = first_pass.options, first_pass.target_profile
    if isinstance(profile, LevelProfile) and options.task == "regression":
        dtype = first_pass.table.schema[options.target]
        msg = (
            f"The target {options.target!r} holds text ({dtype}), which task='regression' cannot "
            "predict. Use task='classification', or correct the column."
        )
        raise InvalidTable(msg)
    if first_pass.n_kept == 0 and first_pass.weightless:
        msg = f"The weights {options.weight!r} are all zero where there is a target."
        raise InvalidTable(msg)
    if first_pass.n_kept == 0:
        msg = f"The target {options.target!r} is missing in every row of {first_pass.table.name}."
        raise InvalidTable(msg)
    heaviest = first_pass.found.heaviest
    if options.weight is not None and out_of_range(heaviest):
        msg = f"The weight {options.weight!r} is {heaviest:.3g} at most: {OUT_OF_RANGE}"
        raise InvalidTable(msg)
    classes = _classes(first_pass)
    constant = len(classes) < 2 if classes is not None else (
        profile.numbers.low == profile.numbers.high
    )  # fmt: skip
    if constant:
        value = classes[0] if classes else profile.numbers.low
        msg = f"The target {options.target!r} is {value!r} in every row: there is nothing to learn."
        raise InvalidTable(msg)
    if options.shift is not None and classes is not None:
        msg = "An offset needs a regression loss; the target has classes."
        raise InvalidParameter(msg)
    if classes is not None and len(classes) > _MANY_CLASSES:
        first_pass.notes.append(_of_many(classes, first_pass.n_kept, options))
    return Target(options.target, None if classes is None else tuple(classes))


def _of_many(classes: Sequence[Any], rows: int, options: PrepareOptions) -> Note:
    """Return what is said of so many classes that they may be none."""
    what = f"The target {options.target!r} is one of {len(classes):,} classes in {rows:,} rows"
    if isinstance(classes[0], str):
        return MANY_CLASSES.note(f"{what}. Is it the right column?")
    return MANY_CLASSES.note(
        f"{what}, and they are numbers. {given('task', 'regression')} predicts the number itself."
    )


def _classes(first_pass: FirstPass) -> Sequence[Any] | None:
    """Return the classes of the target; None if it is a number."""
    options, profile = first_pass.options, first_pass.target_profile
    if isinstance(profile, LevelProfile):
        if profile.counts is None or len(profile.counts) > MOST_CLASSES:
            msg = (
                f"The target {options.target!r} has more than 1,000 different values of text: too "
                "many classes. Is it the right column?"
            )
            raise InvalidTable(msg)
        classes: list[Any] = sorted(profile.counts)
        if first_pass.table.schema[options.target] == pl.Boolean:
            classes = [value == "true" for value in classes]
        return classes
    return classes_of_numbers(options.target, profile.distinct, options.task)
