"""What the command line prints of names that strangers chose, and where it prints to."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from gradstep.cli.terminal import escaped
from tests.slow import slow

# Erases the line, sets the title, is C1's CSI, turns text around, begins a line; markup of Rich.
HOSTILE = "\x1b[2K\x1b]0;t\x07\x9b31m\u202e\n[red]x[/red]"
SHOWN = r"\x1b[2K\x1b]0;t\x07\x9b31m\u202e\n[red]x[/red]"
OURS = re.compile(r"\x1b\[[0-9;]*m")  # bold and yellow, where a terminal is asked for
FEW = ("--max-iter", "2", "--no-cache")


def unwrapped(text):
    """Return a text without what tables and narrow lines put into it."""
    return re.sub(r"[\s─]+", "", text)


def is_safe(text):
    return not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", OURS.sub("", text))


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A table whose column, levels, classes and file have such names."""
    monkeypatch.chdir(tmp_path)
    name = f"t{HOSTILE.replace('/', '-')}.parquet"
    pl.DataFrame({
        HOSTILE: [float(i % 9) for i in range(90)],
        "c": [f"{'abc'[i % 3]}{HOSTILE}" for i in range(90)],
        "y": [f"{'no' if i % 9 < 4 else 'yes'}{HOSTILE}" for i in range(90)],
    }).write_parquet(name)  # fmt: skip
    return name


@pytest.fixture
def model(told, table):
    return told("train", table, "-t", "y", *FEW, "-m", "m.safetensors")["model"]


class TestNamesOfStrangers:
    @pytest.mark.parametrize("verb", ["train", "show", "evaluate", "predict", "prepare", "cache"])
    def test_do_not_act_on_the_terminal(self, gradstep, told, table, model, verb):
        out = f"o{HOSTILE.replace('/', '-')}"
        kept = ("--cache", "kept")
        if verb == "cache":
            told("train", table, "-t", "y", "--max-iter", "2", *kept)
        arguments = {
            "train": (table, "-t", "y", *FEW),
            "show": (model, "--columns"),
            "evaluate": (model, table),
            "predict": (model, table, "-o", f"{out}.csv"),
            "prepare": (table, "-t", "y", "-o", out),
            "cache": kept,
        }[verb]
        status, out, err = gradstep(verb, *arguments, columns=300)
        assert status == 0
        assert is_safe(out + err)
        assert unwrapped(SHOWN.partition("[red]")[0]) in unwrapped(out + err)
        if verb in {"train", "show", "evaluate", "prepare"}:
            assert unwrapped(SHOWN) in unwrapped(out)  # and markup is none

    @pytest.mark.parametrize(
        "arguments", [("train", "T", "-t", HOSTILE + "z"), ("train", "T", "-t", "z"),
                      ("show", f"no{HOSTILE}"), ("predict", "M", "T", "-o", f"no{HOSTILE}")]
    )  # fmt: skip
    def test_nor_through_errors(self, gradstep, table, model, arguments):
        status, out, err = gradstep(*({"T": table, "M": model}.get(a, a) for a in arguments))
        assert (status, out) == (1, "")
        assert is_safe(err)
        assert err.count("\n") == 1

    def test_nor_through_tracebacks(self, table):
        found = subprocess.run(
            [sys.executable, "-m", "gradstep", "--debug", "show", f"no{HOSTILE}"],
            capture_output=True, check=False,
        )  # fmt: skip
        assert found.returncode == 1
        assert b"Traceback" in found.stderr
        assert is_safe(found.stderr.decode())

    def test_of_files_that_differ_have_a_line_each(self, gradstep, table):
        Path("d").mkdir()
        pl.DataFrame({"x": [1.0], "y": [1.0]}).write_parquet("d/a.parquet")
        pl.DataFrame({"x": [1.0], HOSTILE: [1.0]}).write_parquet("d/b.parquet")
        _, _, err = gradstep("train", "d", "-t", "y")
        assert err.count("\n") == 3
        assert f"\n  {SHOWN}: number" in err

    def test_are_what_they_are_in_json_and_files(self, gradstep, told, table, model):
        assert told("show", model)["classes"] == [f"no{HOSTILE}", f"yes{HOSTILE}"]
        gradstep("predict", model, table, "-o", "p.csv")
        found = pl.read_csv("p.csv", quote_char='"')["prediction"].unique().to_list()
        assert set(found) <= {f"no{HOSTILE}", f"yes{HOSTILE}"}
        rows = json.loads(gradstep("predict", model, table, "--json")[1])
        assert {row["prediction"] for row in rows} == set(found)

    def test_that_python_takes_for_the_end_of_a_line_leave_json_whole(self, gradstep, told, table):
        pl.DataFrame({"x": [1.0, 2.0] * 20, "y": ["a\u2028b\x85c", "d"] * 20}).write_csv("u.csv")
        made = told("train", "u.csv", "-t", "y", *FEW, "-m", "m.safetensors")["model"]
        _, out, _ = gradstep("predict", made, "u.csv", "--json")
        assert json.loads(out)[0]["prediction"] == "a\u2028b\x85c"
        assert is_safe(out)

    def test_are_written_out_on_a_terminal_alone(self, gradstep, table, model, monkeypatch):
        _, plain, _ = gradstep("predict", model, table)
        assert "\x1b[2K" in plain
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
        _, out, _ = gradstep("predict", model, table)
        assert is_safe(out)
        assert out.startswith("prediction,")


def test_a_terminal_without_a_width(gradstep, model):
    """Its tables, and the help, have the usual one: they would be empty."""
    for arguments in (("show", model, "--columns"), ("--help",)):
        wide, narrow = (gradstep(*arguments, columns=columns) for columns in (80, 0))
        assert narrow == wide
        assert narrow[1].strip()


def test_other_text_stays():
    text = "Größe №5 你好 👩‍👩‍👧 C:\\x1b [a]"
    assert escaped(text) == text


def from_a_shell(first):
    """Return the beginning of a command that a shell runs after something else.

    A function that runs in the new process (`preexec_fn`) may wait there for ever for a lock that
    another thread of this one held.
    """
    return ["bash", "-c", f'{first}\nexec "$@"', "bash"]


class TestStdout:
    def run(self, *arguments, first="", **options):
        """Run a process, from a shell that does something before; what matters is how it ends."""
        found = subprocess.run(
            [*from_a_shell(first), sys.executable, "-m", "gradstep", *map(str, arguments)],
            stderr=subprocess.PIPE, check=False, **options,
        )  # fmt: skip
        assert b"Traceback" not in found.stderr
        assert b"Exception ignored" not in found.stderr
        return found

    @pytest.mark.parametrize(
        "line",
        ["show M", *slow("predict M T --json", "--version")],
    )
    def test_full(self, table, model, line):
        with Path("/dev/full").open("w") as full:
            found = self.run(
                *({"T": table, "M": model}.get(a, a) for a in line.split()), stdout=full
            )
        assert found.returncode == 1
        assert found.stderr == (
            b"error: stdout cannot be written: No space left on device. Free some space, or name "
            b"a file.\n"
        )

    def test_closed(self, table, model):
        found = self.run("predict", model, table, first="exec 1>&-")
        assert found.returncode == 1
        assert b"error: stdout is closed: there is nowhere to write to." in found.stderr

    @pytest.mark.slow
    def test_closed_where_nothing_needs_it(self, table, model):
        arguments = ("predict", model, table, "-o", "p.csv")
        assert self.run(*arguments, first="exec 1>&-").returncode == 0

    def test_closed_stderr(self, table, model):
        command = f"exec {sys.executable} -m gradstep predict m.safetensors *.parquet -o p.csv 2>&-"
        subprocess.run(["bash", "-c", command], check=True, stdout=subprocess.DEVNULL)
        assert pl.read_csv("p.csv").height == 90

    @pytest.mark.slow
    def test_ascii(self, table, model):
        environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
        pl.DataFrame({"größe": [1.0, 2.0] * 20, "y": ["ä", "ö"] * 20}).write_csv("u.csv")
        made = ("train", "u.csv", "-t", "y", *FEW, "-m", "u.safetensors")
        found = self.run(*made, env=environment, stdout=subprocess.PIPE)
        assert found.returncode == 0
        assert b"gr\\xf6\\xdfe" in found.stdout
        found = self.run(
            "predict", "u.safetensors", "u.csv", env=environment, stdout=subprocess.PIPE
        )
        assert set(found.stdout.decode().splitlines()[1][0]) <= {"ä", "ö"}  # data is UTF-8

    def test_that_nobody_reads_any_more(self, model):
        reader, writer = os.pipe()
        os.close(reader)
        try:
            assert self.run("show", model, stdout=writer).returncode == 1
        finally:
            os.close(writer)


class TestMemory:
    @pytest.mark.parametrize("kilobytes", [1_000_000, *slow(300_000, 1_500_000)])
    def test_few_addresses(self, table, model, kilobytes):
        """Where Polars, LLVM or BLAS could not start their threads."""
        limited = from_a_shell(f"ulimit -v {kilobytes}")
        found = subprocess.run(
            [*limited, sys.executable, "-m", "gradstep", "show", model], capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert (found.returncode, found.stdout) == (1, "")
        assert found.stderr.startswith("error: this process may have ")
        assert found.stderr.endswith("Raise it, or limit the memory itself (a control group).\n")

    def test_too_little(self, fails, monkeypatch):
        def exhausted(*_arguments, **_keywords):
            raise MemoryError

        monkeypatch.setattr("gradstep.engine.training.train", exhausted)
        assert fails("demo").startswith("error: there is not enough memory. Free some")
