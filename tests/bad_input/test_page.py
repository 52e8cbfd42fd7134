"""Bad input is told of by the command line and in Python, and the page shows what is told."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest

from tests.bad_input.cases import CASES, TOPICS
from tests.bad_input.page import PAGE, a_folder_for, page, said
from tests.uncompiled import uncompiled

pytestmark = uncompiled  # what is said does not depend on it
REPOSITORY = Path(__file__).parents[2]
NAMES = [f"{case.topic}: {case.what}" for case in CASES]


def holds(case, text):
    for part in case.says:
        assert re.search(part, text, re.DOTALL), f"{part!r} is not in: {text}"


@pytest.mark.parametrize("name", [n for n, case in zip(NAMES, CASES, strict=True) if case.line])
def test_on_the_command_line(name):
    at = NAMES.index(name)
    case, (status, text) = CASES[at], said(at)
    assert status == (0 if case.kind is None else 1), text
    holds(case, text)
    assert "Traceback" not in text
    assert case.kind is None or text.startswith("error: ")


@pytest.mark.parametrize("name", [n for n, case in zip(NAMES, CASES, strict=True) if case.kind])
def test_in_python(name):
    case = CASES[NAMES.index(name)]
    with a_folder_for(case), case.during() if case.during else contextlib.nullcontext():
        with pytest.raises(case.kind) as caught:
            case.call()
        holds(case, str(caught.value))


def test_every_topic_has_a_case():
    assert {case.topic for case in CASES} == set(TOPICS)


def test_the_page_is_what_is_said():
    assert (REPOSITORY / PAGE).read_text(encoding="utf-8") == page(), (
        "write it anew: python -m tests.bad_input"
    )
