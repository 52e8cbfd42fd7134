"""A peer that hangs or crashes is left out of its case, and ends no other."""

from __future__ import annotations

import os

import pytest

from benchmarks.solvers import apart
from benchmarks.solvers.apart import Settings, cores_for, race_apart
from benchmarks.solvers.cases import Case
from benchmarks.solvers.results import MISSED

SETTINGS = Settings(longest=0.2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "does, why",
    [("hangs", "> 0.2 s, at tolerance 0.1"), ("crashes", "crashed (signal 11), at tolerance 0.1")],
)
def test_the_culprit_is_left_out(monkeypatch, does, why):
    monkeypatch.setattr(apart, "MODULE", "tests.benchmarks.culprit")
    result = race_apart(Case(does, "", "", 1, 1), SETTINGS, cores_for(1, 1)[0], small_batches=False)
    assert [side.name for side in result.sides] == ["gradstep", "peer"]
    assert result.sides[0].seconds == [1.0]
    assert result.sides[1].skipped == why


@pytest.mark.slow
def test_an_error_of_ours_ends_the_case_and_says_so(monkeypatch):
    monkeypatch.setattr(apart, "MODULE", "tests.benchmarks.culprit")
    case = Case("ours", "", "", 1, 1)
    result = race_apart(case, SETTINGS, cores_for(1, 1)[0], small_batches=False)
    assert result.verdict == MISSED
    assert result.sides[0].skipped == "an error of ours"


def test_cases_at_a_time_share_no_processor():
    there = sorted(os.sched_getaffinity(0))
    assert cores_for(1, 0) == [there]
    assert cores_for(len(there), 1) == [[core] for core in there]
    with pytest.raises(ValueError, match="processor"):
        cores_for(len(there) + 1, 1)
