"""Columns that give the target away, looked for in parts of a table: what the whole tells."""

from __future__ import annotations

import numpy as np
import polars as pl

from gradstep.data.features.leaks import LeakSearch
from gradstep.data.features.profile import profile_of

N = 600


def test_parts_find_what_the_whole_does():
    """Wherever a column stops giving the target away, and in whatever order the classes come."""
    rng = np.random.default_rng(0)
    two = np.where(np.arange(N) % 2 == 0, "no", "yes")
    two[100:] = np.sort(two[100:])  # a part may have one class alone
    code = (two == "yes").astype(float)
    broken, late = code.copy(), code.copy()
    broken[300], late[599] = 1.0 - broken[300], 2.0
    level = np.where((two == "yes") & (rng.random(N) < 0.3), "card", "cash")
    wrong = level.copy()
    wrong[np.flatnonzero(two == "no")[-1]] = "card"
    frame = pl.DataFrame({
        "copy": two, "code": code, "broken": broken, "late": late, "level": level, "wrong": wrong,
        "y": two,
    })  # fmt: skip
    kinds = {"code": "number", "broken": "number", "late": "number"}
    profiles = {c: profile_of(c, kinds.get(c, "category")) for c in frame.columns if c != "y"}
    whole = LeakSearch()
    for lo in range(0, N, 50):
        whole.add(frame[lo : lo + 50], frame["y"][lo : lo + 50], profiles)
    assert list(whole.recoded) == ["copy", "code"]
    assert {c: list(levels) for c, levels in whole.deciding.items()} == {"level": ["card"]}

    first = LeakSearch()
    first.add(frame[:50], frame["y"][:50], profiles)
    merged = LeakSearch()
    for lo, hi in ((0, 0), (0, 100), (100, 350), (350, N)):
        part = first.begun()
        for at in range(lo, hi, 50):
            part.add(frame[at : at + 50], frame["y"][at : at + 50], profiles)
        merged.merge(part)
    assert merged == whole
