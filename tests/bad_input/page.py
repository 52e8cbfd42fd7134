"""The page of bad input: each case is run, and what is said becomes a row."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

from gradstep.cli.main import main
from tests.bad_input.cases import CASES, TOPICS, Case

__all__ = ["PAGE", "page", "said"]

PAGE = Path("docs/bad_input.md")
_HEAD = """# Bad input

What is said of it, on the command line; in Python the same message is the error's, of the type that
the table names. Each row is a test (`tests/bad_input`), and the page is written from them
(`python -m tests.bad_input`).
"""
_COLUMNS = "| what | command | what is said | in Python |\n|---|---|---|---|"


@functools.cache
def said(at: int) -> tuple[int, str]:
    """Return the exit status of the command of a case, by its place, and what it says."""
    with a_folder_for(CASES[at]):
        return _said(CASES[at])


def _said(case: Case) -> tuple[int, str]:
    out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
    argv = ["gradstep", *map(str, case.line)]
    with (
        case.during() if case.during else contextlib.nullcontext(),
        patch.object(sys, "argv", argv),
        patch.dict(os.environ, {"COLUMNS": "200"}),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
    out.seek(0)
    return status, err.getvalue() + ("" if status else out.read())  # not the plan of what failed


def _message(at: int) -> str:
    """Return what the page shows of what a command says."""
    case, (_, text) = CASES[at], said(at)
    if case.kind is not None:
        return " ".join(text.split())
    return next(
        " ".join(line.split()) for line in text.split("\n") if re.search(case.says[0], line)
    )


def page() -> str:
    """Return the page."""
    parts = [_HEAD]
    for topic in TOPICS:
        parts.append(f"\n## {topic}\n\n{_COLUMNS}")
        for at, case in enumerate(CASES):
            if case.topic != topic:
                continue
            line, text = "arrays have none", _in_python(case)
            if case.line:
                line = "`" + " ".join(["gradstep", *map(str, case.line)]) + "`"
                text = _message(at)
            kind = "goes on, and notes it" if case.kind is None else f"`{case.kind.__name__}`"
            parts.append("| " + " | ".join(map(_cell, (case.what, line, text, kind))) + " |")
    return "\n".join(parts) + "\n"


def _in_python(case: Case) -> str:
    if case.kind is None or case.line:
        return ""
    try:
        case.call()
    except case.kind as error:
        return " ".join(str(error).split())
    return ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<")


@contextlib.contextmanager
def a_folder_for(case: Case):
    """Work in a folder that has the case's files."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            case.write(Path(folder))
            yield
        finally:
            os.chdir(before)
