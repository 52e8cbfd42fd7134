"""Messages speak of parameters in Python and of options on the command line, and of none else."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import shlex
from pathlib import Path

import polars as pl
import pytest
import typer

import gradstep
from gradstep.cli.main import app
from gradstep.cli.speaking import PARAMETERS, known_as, spoken
from gradstep.data.preparing.options import PrepareOptions
from gradstep.diagnostics.catalogue import DIAGNOSTICS

PACKAGE = Path(gradstep.__file__).parent
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
# Where no user reads it, or what is meant is a style, the command line itself, or says so.
OF_THE_COMMAND_LINE = (
    "cli/",
    "reporting/style.py",
    "reporting/sections/run.py",
    "comparing/playback.py",
)


def options_of(*verbs):
    commands = typer.main.get_command(app).commands
    chosen = [commands[verb] for verb in verbs] if verbs else commands.values()
    return {opt for verb in chosen for each in verb.params for opt in each.opts}


def parameters():
    """Return the names that a call in Python can have."""
    found = set(vars(PrepareOptions)["__dataclass_fields__"])
    for of in (
        gradstep.fit_table,
        gradstep.prepare,
        gradstep.TableRegressor,
        gradstep.TableClassifier,
    ):
        found |= set(inspect.signature(of).parameters)
    return found


@functools.cache
def messages():
    """Return the file and the text of each string that a message may be made of."""
    return list(_messages())


def _messages():
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name.startswith(OF_THE_COMMAND_LINE):
            continue
        tree = ast.parse(path.read_text())
        docs = {
            ast.get_docstring(node, clean=False)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        }
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and node.value not in docs
            ):
                yield name, node.value


def test_no_message_names_an_option_itself():
    found = {
        (name, option)
        for name, text in messages()
        if "on the command line" not in text
        for option in OPTION.findall(text)
    }
    assert found == {("checks.py", "--memory")} & found


def test_what_messages_are_made_of_is_filled_in():
    assert not [name for name, text in messages() if "{given(" in text]


def test_parameters_are_those_of_python_and_options_those_of_the_command_line():
    assert {known_as(name) for name in PARAMETERS - {"refit"}} <= options_of()
    assert "--no-refit" in options_of("train")
    of_others = {"checkpoint_every", "class_weight", "formula", "sample_weight"}
    assert PARAMETERS - parameters() <= of_others


@pytest.mark.parametrize("each", DIAGNOSTICS.values(), ids=lambda each: each.code)
def test_diagnostics_name_parameters_that_there_are(each):
    for text in (each.what, each.why, each.fix):
        for name in re.findall(r"`([a-z_0-9]+)=", text):
            assert name in PARAMETERS | {"learning_rate", "l1_ratio"}
        typed = spoken(text)
        assert not re.search(r"`[a-z_]+=", typed)
        assert set(OPTION.findall(typed)) <= options_of("train")


@pytest.mark.parametrize(
    "message, typed",
    [
        ('(drop=["a", "b c"])', "(--drop 'a,b c')"),
        ('drop=["a,b"]', r"--drop 'a\,b'"),
        ('kinds={"x y": "category"} reads', "--as 'x y=category' reads"),
        ('na=["-999"].', "--na=-999."),
        ("refit=False", "--no-refit"),
        ("allow_mixed=True", "--allow-mixed"),
        ("name it (encoding=...)", "name it (--encoding)"),
        (
            "Column 'drop=[1]' is \"na=3\"; penalty=None",
            "Column 'drop=[1]' is \"na=3\"; --penalty none",
        ),
        ("rows' own drop=[\"it's\"]", "rows' own --drop 'it'\"'\"'s'"),
        ("a broken drop=[1", "a broken drop=[1"),
        ('drop=["]"]', "--drop ']'"),
    ],
)
def test_parameters_are_read_as_python_reads_them(message, typed):
    assert spoken(message) == typed


@pytest.fixture
def numbered():
    return pl.DataFrame({"id n": range(60), "km": [1.0, 2.0, 4.0] * 20, "fare": [5.5, 8, 13] * 20})


def test_a_note_is_a_call_in_python_and_an_option_on_the_command_line(numbered, tmp_path, gradstep):
    import gradstep as gs

    [note] = [note for note in gs.plan(numbered, "fare").notes if note.code == "GS004"]
    assert 'drop=["id n"]' in note
    assert "GS004" not in str(gs.plan(numbered, "fare", drop=["id n"]).notes)
    path = tmp_path / "t.csv"
    numbered.write_csv(path)
    dry = ("train", path, "-t", "fare", "--dry-run")
    told = "".join(gradstep(*dry, columns=400)[1:])
    typed = re.search(r"\((--drop .*?)\)", " ".join(told.split()))[1]
    again = "".join(gradstep(*dry, *shlex.split(typed))[1:])
    assert "GS004" not in again


def test_what_has_no_effect_is_an_option_on_the_command_line(numbered, tmp_path, gradstep):
    path = tmp_path / "t.csv"
    numbered.write_csv(path)
    training = ("train", path, "-t", "fare", "--batch-size", 8, "--model", tmp_path / "t.model")
    told = " ".join("".join(gradstep(*training)[1:]).split())
    assert "note [GS113]: --batch-size 8 has no effect" in told
    typed = re.search(r"(--optimizer \w+)", told)[1]
    again = "".join(gradstep(*training, *shlex.split(typed))[1:])
    assert "GS113" not in again


def test_an_error_is_a_call_in_python_and_an_option_on_the_command_line(tmp_path, fails):
    path = tmp_path / "t.csv"
    path.write_text("x,y\n" + "1,2\n" * 200 + "1.3v86,3\n")
    import gradstep as gs

    with pytest.raises(gs.InvalidTable) as told:
        gs.fit_table(path, "y")
    assert 'na=["1.3v86"]' in str(told.value)
    assert 'kinds={"x": "category"}' in str(told.value)
    assert "--na 1.3v86" in (typed := fails("train", str(path), "-t", "y"))
    assert "--as x=category" in typed
    assert "--drop x" in typed
