"""Columns that order the rows as the target does, found in parts and as a whole."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest

import gradstep
from gradstep.data.features.leaks import LeakSearch
from gradstep.data.features.profile import profile_of

N = 1200
CUTS = (0, 200, 650, N)


def table(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=N)
    y = np.exp(x + 0.3 * rng.normal(size=N)).round(3) + 0.001
    band = np.digitize(y, [0.5, 1.0, 2.0])
    frame = pl.DataFrame({
        "x": x, "log": np.log(y), "falls": -(y**3), "band": band.astype(float),
        "level": np.array(["low", "some", "more", "much"])[band],
        "above": (y > 1.0).astype(float), "y": y,
    })  # fmt: skip
    gone = pl.int_range(pl.len()) % 7 == 0
    return frame.with_columns(
        gaps=pl.when(~gone).then("log"), holes=pl.when(~gone).then("level")
    )  # fmt: skip


LEAKS = ["log", "falls", "band", "level", "above", "gaps", "holes"]


def noted(frame):
    notes = [n.text for n in gradstep.plan(frame, "y", validation=0.1).notes if n.code == "GS001"]
    told = [note.split("'")[1] for note in notes]
    return [name for name in frame.columns if name in told]


def test_logarithms_powers_and_bands_are_noted_and_nothing_else():
    assert noted(table()) == LEAKS


@pytest.mark.parametrize("name", LEAKS)
@pytest.mark.parametrize("at", [0, -1])
def test_one_exception_is_enough(name, at):
    """In whatever chunk: the row of the least target gets the value of that of the largest."""
    frame = table().sort("y", descending=at == -1)
    whole = frame[name].drop_nulls()
    wrong = pl.concat([whole[[-1 if at == 0 else 0]], frame[name][1:]])
    if at == -1:
        wrong = pl.concat([frame[name][:-1], whole[[0]]])
    frame = frame.with_columns(wrong.alias(name))
    assert noted(frame) == [other for other in frame.columns if other in LEAKS and other != name]


def test_few_rows_of_few_values_are_no_leak():
    frame = table().head(60)
    assert noted(frame) == ["log", "falls", "gaps"]


def found(search):
    return list(search.orders.numbers), search.orders.levels


def test_parts_find_what_the_whole_does():
    frame = table().drop("gaps", "holes")
    frame = frame.with_columns(
        late=pl.when(pl.int_range(pl.len()) == N - 1).then(99.0).otherwise("log"),
        other=pl.when(pl.int_range(pl.len()) == 300).then(pl.lit("low")).otherwise("level"),
    )
    assert frame["level"][300] != "low"
    text = {"level", "other"}
    profiles = {
        c: profile_of(c, "category" if c in text else "number") for c in frame.columns if c != "y"
    }
    whole = LeakSearch()
    for lo in range(0, N, 50):
        whole.add(frame[lo : lo + 50], frame["y"][lo : lo + 50], profiles)
    first = LeakSearch()
    first.add(frame[:50], frame["y"][:50], profiles)
    merged = LeakSearch()
    for lo, hi in itertools.pairwise(CUTS):
        part = first.begun()
        for at in range(lo, hi, 50):
            part.add(frame[at : at + 50], frame["y"][at : at + 50], profiles)
        merged.merge(part)
    assert found(merged) == found(whole)
    assert found(whole)[0] == ["log", "falls"]  # levels need more rows than the first chunk has
