"""Each statement of docs/security.md names tests that hold it: they exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
TEST = re.compile(r"tests/[\w/]+\.py(?:::\w+)*")


def names(page):
    return TEST.findall((REPOSITORY / page).read_text(encoding="utf-8"))


def exists(name):
    path, *inside = name.split("::")
    if not (REPOSITORY / path).is_file():
        return False
    found = ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))
    for part in inside:
        nodes = [node for node in found.body if getattr(node, "name", None) == part]
        if not nodes:
            return False
        (found,) = nodes
    return True


def test_they_exist():
    assert len(names("docs/security.md")) > 35
    assert [name for name in names("docs/security.md") if not exists(name)] == []


def test_one_that_does_not_is_found():
    assert exists("tests/test_files.py::TestModes")
    assert not exists("tests/test_files.py::TestModes::test_nothing")
    assert not exists("tests/test_nothing.py")


def test_every_statement_about_strangers_has_one():
    """But those that say what is not promised, or is elsewhere."""
    text = (REPOSITORY / "docs/security.md").read_text(encoding="utf-8")
    _, _, part = text.partition("## Not trusted")
    statements = [s for s in re.split(r"\n(?=- )", part) if s.startswith("- ")]
    without = [s[:40] for s in statements if not TEST.search(s)]
    assert without == [
        "- Arrays that somebody changes while the",
        "- Cells that begin with `=` stay what th",
    ]
