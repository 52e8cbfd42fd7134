"""The list of slow tests names tests that there are."""

from __future__ import annotations

import re

from tests.slow_tests import LIST, listed, slow_ones

ROOT = LIST.parents[1]
FILES = {name.partition("::")[0] for name in listed()}


def test_names_functions_of_files():
    texts = {path: (ROOT / path).read_text(encoding="utf-8") for path in FILES}
    for name in listed():
        path, *classes, function = re.sub(r"\[.*", "", name).split("::")
        assert f"def {function}(" in texts[path], name
        assert all(f"class {each}" in texts[path] for each in classes), name


def test_what_a_test_and_its_fixtures_take_is_added_up():
    log = """
0.15s setup    tests/test_a.py::test_of_numbers[1.0 s]
0.10s call     tests/test_a.py::test_of_numbers[1.0 s]
0.15s call     tests/test_a.py::test_other
3.00s call     docs/page.md::line:5,column:1
"""
    assert slow_ones(log) == {"tests/test_a.py::test_of_numbers[1.0 s]"}
