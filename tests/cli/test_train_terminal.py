"""`gradstep train` in a process of its own: on a terminal, and interrupted."""

from __future__ import annotations

import itertools
import json
import os
import pty
import re
import select
import subprocess
import sys

import pytest

import gradstep as gs
from gradstep.cli.main import INTERRUPTED
from tests.cli.train import FEW

SLOW = ("--optimizer", "sgd", "--tol", "none")  # takes many epochs
# Runs the command line with a progress bar from the first moment on, and Ctrl-C (if a number is
# given) at the end of that epoch, or (if a word is) when that is what is being done.
SCRIPT = """
import os, signal, sys
from gradstep.cli import main, progress
progress._QUIET_SECONDS = 0.0
moment = os.environ.get("INTERRUPT", "")
epoch_end, call = progress.Progress.on_epoch_end, progress.Progress.__call__
def on_epoch_end(self, event):
    epoch_end(self, event)
    if str(event.record.epoch) == moment:
        os.kill(os.getpid(), signal.SIGINT)
def __call__(self, what, rows):
    call(self, what, rows)
    if what == moment:
        os.kill(os.getpid(), signal.SIGINT)
progress.Progress.on_epoch_end, progress.Progress.__call__ = on_epoch_end, __call__
main.main()
"""


def interrupted(folder, moment, *arguments):
    """Run in a process of its own that gets Ctrl-C at a moment."""
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, arguments)],
        capture_output=True, text=True, check=False, cwd=folder,
        env={**os.environ, "INTERRUPT": str(moment)},
    )  # fmt: skip


class TestTerminal:
    """What is seen on one: progress on its stderr, nothing of it elsewhere."""

    @staticmethod
    def seen(columns, *arguments):
        """Run with stderr on a terminal; return what came there, and stdout."""
        ours, theirs = pty.openpty()
        run = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=theirs,
            env={**os.environ, "COLUMNS": str(columns), "TERM": "xterm"},
        )  # fmt: skip
        os.close(theirs)
        shown = b""
        while run.poll() is None or select.select([ours], [], [], 0.0)[0]:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    shown += os.read(ours, 1 << 16)
                except OSError:  # the other end is closed
                    break
        out = run.communicate()[0]
        os.close(ours)
        assert run.returncode == 0
        lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "\r", shown.decode()))
        return [line for line in lines if line.strip()], out.decode()

    @pytest.mark.slow
    @pytest.mark.parametrize("columns", [60, 80])
    def test_shows_progress_that_fits(self, trips, columns):
        shown, out = self.seen(
            columns, "train", trips, "-t", "fare", *FEW, *SLOW, "--max-iter", "1000"
        )
        text = "".join(shown)
        assert "loss" in text
        assert "held out" in text
        assert "rows/s" in text
        assert max(map(len, shown)) <= columns
        assert "rows/s" not in out
        assert "1,000 epochs" in out

    @pytest.mark.slow
    def test_shows_none_for_machines(self, trips):
        shown, out = self.seen(80, "train", trips, "-t", "fare", *FEW, "--max-iter", "5", "--json")
        assert shown == []
        assert 1 <= json.loads(out)["epochs"] <= 5


class TestInterrupts:
    def test_during_training_keep_the_best_model(self, trips, later, tmp_path):
        arguments = ("train", trips, "-t", "fare", *FEW, *SLOW, "--max-iter", "100000", "-m", "m")
        done = interrupted(tmp_path, 7, *arguments)
        assert (done.returncode, done.stderr) == (130, "")
        flat = " ".join(done.stdout.split())
        assert "7 epochs in" in flat
        assert "The run was interrupted; the model is the best so far." in flat
        assert gs.load(tmp_path / "m").provenance["outcome"] == "interrupted"
        assert gs.evaluate(gs.load(tmp_path / "m"), later)["r2"] > 0.99

    @pytest.mark.slow
    def test_are_told_to_machines_too(self, trips, tmp_path):
        arguments = ("train", trips, "-t", "fare", *FEW, *SLOW, "--json")
        done = interrupted(tmp_path, 2, *arguments)
        assert (done.returncode, done.stderr) == (130, "")
        told = json.loads(done.stdout)
        assert told["outcome"] == "interrupted"
        assert told["refit"] is None
        assert (tmp_path / told["model"]).is_file()

    @pytest.mark.slow
    def test_before_training_write_nothing(self, trips, tmp_path):
        arguments = ("train", trips, "-t", "fare", "--cache", tmp_path / "cache", "-m", "m")
        done = interrupted(tmp_path, "reading", *arguments)
        assert done.returncode == 130
        assert (done.stdout, done.stderr) == ("", f"{INTERRUPTED}\n")
        left = itertools.chain(tmp_path.glob("*"), tmp_path.glob("cache/*"))
        assert {path.name for path in left} <= {"cache"}
