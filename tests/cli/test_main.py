"""The command line as a whole: help, version, usage errors, and errors of ours."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points, version

import pytest

from gradstep.cli.main import main
from gradstep.errors import Diverged, InvalidData


@pytest.fixture
def failing(monkeypatch):
    """Let training fail with a given error."""

    def fail_with(error):
        def train(*_arguments, **_keywords):
            raise error

        monkeypatch.setattr("gradstep.engine.training.train", train)

    return fail_with


class TestHelp:
    @pytest.mark.parametrize("option", ["--help", "-h"])
    def test_names_the_verbs_and_options(self, gradstep, option):
        status, out, err = gradstep(option)
        assert status == 0
        assert err == ""
        assert "Mini-batch gradient descent for linear models" in " ".join(out.split())
        for word in ("demo", "Run the notebook that gradstep grew out of", "--version", "--debug"):
            assert word in out

    def test_of_a_verb_says_what_it_does(self, gradstep):
        status, out, _ = gradstep("demo", "--help")
        assert status == 0
        assert "Run the notebook that gradstep grew out of, to the digit." in out

    def test_is_what_no_arguments_give(self, gradstep):
        _, out, err = gradstep()
        assert "demo" in out + err
        assert "Usage" in out + err

    @pytest.mark.parametrize("arguments", [("--help",), ("demo", "--help"), ("train it",)])
    @pytest.mark.parametrize("columns", [40, 80, 120])
    def test_fits_the_width(self, gradstep, arguments, columns):
        status, out, err = gradstep(*arguments, columns=columns)
        assert status == (0 if "--help" in arguments else 2)
        assert max(map(len, (out + err).splitlines())) <= columns


class TestVersion:
    def test_is_printed(self, gradstep):
        assert gradstep("--version") == (0, f"gradstep {version('gradstep')}\n", "")

    def test_comes_before_anything_else(self, gradstep):
        status, out, _ = gradstep("--version", "no-such-verb")
        assert (status, out) == (0, f"gradstep {version('gradstep')}\n")


class TestUsageErrors:
    @pytest.mark.parametrize(
        "arguments, word",
        [
            (("trian",), "trian"),
            (("--verbos",), "--verbos"),
            (("demo", "--epochs", "3"), "--epochs"),
            (("demo", "extra"), "extra"),
        ],
    )
    def test_exit_with_2_and_name_what_is_wrong(self, gradstep, arguments, word):
        status, out, err = gradstep(*arguments)
        assert status == 2
        assert out == ""
        assert word in err
        assert "Traceback" not in err


class TestErrors:
    @pytest.mark.parametrize(
        "error", [InvalidData("y is 7 at row 3. Use 0 or 1."), Diverged("Too far.", epoch=1)]
    )
    def test_are_one_message_on_stderr_and_status_1(self, gradstep, failing, error):
        failing(error)
        assert gradstep("demo") == (1, "", f"error: {error}\n")

    @pytest.mark.parametrize("columns", [40, 80])
    def test_keep_their_message_in_one_piece_at_any_width(self, gradstep, failing, columns):
        failing(InvalidData("word " * 40 + "[not a style] at the end."))
        _, _, err = gradstep("demo", columns=columns)
        assert " ".join(err.split()) == "error: " + "word " * 40 + "[not a style] at the end."

    def test_show_their_traceback_with_debug(self, gradstep, failing):
        failing(InvalidData("y is 7 at row 3."))
        with pytest.raises(InvalidData, match="y is 7 at row 3"):
            gradstep("--debug", "demo")

    def test_that_are_not_ours_are_not_hidden(self, gradstep, failing):
        failing(ZeroDivisionError("a mistake in gradstep"))
        with pytest.raises(ZeroDivisionError):
            gradstep("demo")


class TestProgram:
    def test_is_installed(self):
        (script,) = entry_points(group="console_scripts", name="gradstep")
        assert script.load() is main

    def test_runs_as_a_module(self):
        done = subprocess.run(
            [sys.executable, "-m", "gradstep", "--version"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout == f"gradstep {version('gradstep')}\n"
        assert done.stderr == ""

    def test_as_a_module_exits_with_2_for_an_unknown_verb(self):
        done = subprocess.run(
            [sys.executable, "-m", "gradstep", "trian"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert "trian" in done.stderr

    def test_needs_neither_numba_nor_scikit_learn_to_help(self):
        program = (
            "import sys; from gradstep.cli.main import app; "
            "app(['--help'], standalone_mode=False); "
            "print(*sorted({'numba', 'polars', 'scipy', 'sklearn'} & set(sys.modules)), "
            "file=sys.stderr)"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert done.stderr.strip() == ""
