"""`gradstep train --checkpoint`: what is refused, how signals end it, and how it goes on."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields

import pytest
from typer.main import get_command

import gradstep as gs
from gradstep.cli.main import INTERRUPTED, app
from gradstep.cli.train import _option
from gradstep.cli.train_report import TrainReport
from gradstep.data.preparing.options import PrepareOptions
from gradstep.fit.plan import Settings

FEW = ("--only", "km,hour,colour", "--no-cache")
ADAM = ("--optimizer", "adam", "--max-iter", "60", "--tol", "none")
# Runs the command line, which signals itself: at the end of an epoch, where a word says what is
# being done, or where a kernel is compiled; twice with a second between, if SIGNALS says so.
SCRIPT = """
import os, signal, sys, time
from gradstep.cli import main, progress
moment, numbers = os.environ["MOMENT"], os.environ["SIGNALS"].split()
def signalled():
    global moment
    moment = None
    for i, group in enumerate(numbers):
        time.sleep(0.8 * (i > 0))
        for number in group.split("+"):
            os.kill(os.getpid(), int(number))
    if len(numbers) > 1:
        time.sleep(30.0)
runs = []
epoch_end, call = progress.Progress.on_epoch_end, progress.Progress.__call__
def on_epoch_end(self, event):
    epoch_end(self, event)
    runs.append(event.record.epoch)
    if str(event.record.epoch) == moment or (moment == "refit" and runs.count(2) == 2):
        signalled()
def __call__(self, what, rows):
    call(self, what, rows)
    if what == moment:
        signalled()
progress.Progress.on_epoch_end, progress.Progress.__call__ = on_epoch_end, __call__
if moment == "compiling":
    from gradstep import jit
    load = jit.KernelCache.load_overload
    def load_overload(self, *of):
        if moment:
            signalled()
        return load(self, *of)
    jit.KernelCache.load_overload = load_overload
main.main()
"""


def signalled(moment, signals, *arguments, cwd=None, **environment):
    """Run in a process of its own that gets signals at a moment."""
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, arguments)],
        capture_output=True, text=True, check=False, cwd=cwd,
        env=os.environ | {"MOMENT": str(moment), "SIGNALS": signals} | environment,
    )  # fmt: skip


@pytest.fixture
def train(trips):
    """The arguments of a run of 60 epochs."""
    return ("train", trips, "-t", "fare", *FEW, *ADAM)


@pytest.fixture(scope="module")
def ended(folder, tmp_path_factory):
    """A run that Ctrl-C has ended after seven epochs: where it was, and what it told."""
    home = tmp_path_factory.mktemp("ended")
    train = ("train", folder / "trips.csv", "-t", "fare", *FEW, *ADAM)
    return home, signalled(7, "2", *train, "-m", "part", "--checkpoint", "run", cwd=home)


@pytest.fixture
def stopped(ended, train, tmp_path):
    """A run that a signal has ended after some epochs."""
    shutil.copytree(ended[0], tmp_path, dirs_exist_ok=True)
    return train


class TestSignals:
    def test_end_training_with_a_checkpoint_and_a_model(self, ended, stopped, gradstep, tmp_path):
        done, train = ended[1], stopped
        assert (done.returncode, done.stderr) == (130, "")
        flat = " ".join(done.stdout.split())
        assert "7 epochs in" in flat
        assert flat.endswith("Model part Checkpoint run: --resume goes on from it")
        assert gs.load("part").provenance["epochs"] == 7
        assert [p.name for p in tmp_path.glob("run/*")] == ["checkpoint-00000001.safetensors"]

        status, out, _ = gradstep(*train, "-m", "resumed", "--checkpoint", "run", "--resume")
        assert status == 0
        assert "Goes on after 7 epochs" in " ".join(out.partition("Training")[0].split())
        gradstep(*train, "-m", "whole")
        whole, resumed = ((tmp_path / name).read_bytes() for name in ("whole", "resumed"))
        assert resumed == whole

    @pytest.mark.slow
    def test_change_no_bit_with_other_threads_and_memory(self, train, gradstep, tmp_path):
        train = (*train, "--batch-size", "512")
        signalled(7, "15", *train, "--checkpoint", "run", NUMBA_NUM_THREADS="2")
        signalled(
            30, "15", *train, "--checkpoint", "run", "--resume", "--memory", "200MB",
            NUMBA_NUM_THREADS="1",
        )  # fmt: skip
        gradstep(*train, "-m", "resumed", "--checkpoint", "run", "--resume", "--memory", "1GB")
        gradstep(*train, "-m", "whole")
        assert (tmp_path / "resumed").read_bytes() == (tmp_path / "whole").read_bytes()

    @pytest.mark.slow
    def test_in_the_refit_go_on_with_that(self, trips, gradstep, tmp_path):
        train = ("train", trips, "-t", "fare", *FEW, *ADAM)
        done = signalled("refit", "15", *train, "-m", "m", "--checkpoint", "run")
        assert done.returncode == 143
        assert "Interrupted while the model was fitted to all rows" in " ".join(done.stdout.split())
        gradstep(*train, "-m", "judged", "--no-refit")
        judged, part = gs.load(tmp_path / "judged"), gs.load(tmp_path / "m")
        assert part.params.tobytes() == judged.params.tobytes()
        status, out, _ = gradstep(*train, "-m", "resumed", "--checkpoint", "run", "--resume")
        assert (status, "of run 2" in " ".join(out.split())) == (0, True)
        gradstep(*train, "-m", "whole")
        assert (tmp_path / "resumed").read_bytes() == (tmp_path / "whole").read_bytes()

    def test_before_training_leave_nothing(self, trips, tmp_path):
        kept = ("--cache", "cache", "-m", "m", "--checkpoint", "run")
        done = signalled("encoding", "15", "train", trips, "-t", "fare", *kept)
        assert done.returncode == 143
        assert (done.stdout, done.stderr) == ("", f"{INTERRUPTED}\n")
        assert "none is written, and the same command starts over" in done.stderr
        assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == []

    def test_a_second_ends_the_process_at_once(self, train, tmp_path):
        done = signalled(3, "2 15", *train, "-m", "m", "--checkpoint", "run")
        assert (done.returncode, done.stderr) == (143, "")
        assert "Training" not in done.stdout  # the plan alone
        assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == []

    def test_from_timeout_are_one(self, train):
        """It signals the process, and then its group."""
        done = signalled(7, "15+15", *train, "-m", "m")
        assert done.returncode == 143
        assert "the model is the best so far" in " ".join(done.stdout.split())

    def test_while_kernels_are_compiled_print_no_traceback(self, train):
        done = signalled("compiling", "2", *train, "-m", "m", GRADSTEP_CACHE_DIR="cache")
        assert (done.returncode, done.stdout) == (130, "")
        assert done.stderr == f"{INTERRUPTED}\n"

    @pytest.mark.slow
    def test_other_verbs_end_the_same(self, trips):
        done = signalled("reading", "15", "prepare", trips, "-t", "fare", "-o", "prepared")
        assert done.returncode == 143
        assert done.stderr == f"{INTERRUPTED}\n"


class TestFolder:
    def test_an_unfinished_run_is_refused(self, stopped, fails, tmp_path):
        before = [(p.name, p.read_bytes()) for p in tmp_path.glob("run/*")]
        told = fails(*stopped, "--checkpoint", "run")
        assert "run holds the checkpoint of a run that has not ended (after 7 epochs" in told
        assert "Go on with it (--resume), or delete run to begin anew." in told
        assert [(p.name, p.read_bytes()) for p in tmp_path.glob("run/*")] == before

    @pytest.mark.filterwarnings("always::gradstep.CheckpointWarning")
    def test_a_damaged_one_gives_way_to_the_one_before(
        self, stopped, gradstep, tmp_path, monkeypatch
    ):
        monkeypatch.setattr(TrainReport, "on_fit", lambda *_: None)  # it is told before
        whole = (tmp_path / "run/checkpoint-00000001.safetensors").read_bytes()
        (tmp_path / "run/checkpoint-00000002.safetensors").write_bytes(whole[:-9])
        status, out, err = gradstep(*stopped, "--checkpoint", "run", "--resume")
        assert status == 0
        assert "Goes on after 7 epochs" in " ".join(out.split())
        assert "warning [GS304]: run/checkpoint-00000002.safetensors is no checkpoint" in err
        assert "goes on from the checkpoint before it, run/checkpoint-00000001" in err

    def test_what_differs_is_named_by_its_option(self, stopped, fails, folder, tmp_path):
        kept = ("--checkpoint", "run", "--resume")
        told = fails(*stopped, *kept, "--batch-size", "7", "--l1-ratio", "0.5", "--penalty",
                     "elasticnet", "--as", "hour=category", "--thousands", "", "--decimal", ".",
                     "--na", "none", "--encoding", "ascii")  # fmt: skip
        for part in (
            "--batch-size was 'auto', and is 7;", "--l1-ratio was 0.15, and is 0.5;",
            "--penalty was 'l2', and is 'elasticnet'", "--as was not given, and is",
            "--thousands was not given, and is ''", "--decimal was not given, and is '.'",
            "--na was not given, and is", "--encoding was not given, and is 'ascii'",
            "delete run to begin anew",
        ):  # fmt: skip
            assert part in told
        changed = tmp_path / "changed.csv"
        changed.write_text(
            (folder / "trips.csv").read_text() + "x,,1.5,3,green,7,yes,true,1,,1,1,1\n"
        )
        told = fails("train", changed, *stopped[2:], *kept)
        assert "the data differs; the table's content differs" in told

    def test_options_have_the_names_that_are_typed(self):
        """All that a run is recognised by, but for what the command line has no option for."""
        known = {
            option for each in get_command(app).commands["train"].params for option in each.opts
        }
        names = [each.name for kind in (PrepareOptions, Settings) for each in fields(kind)]
        found = {name: re.findall("--[a-z0-9-]+", _option(name)) for name in [*names, "refit"]}
        assert {name for name, options in found.items() if not set(options) <= known} == {
            "fit_intercept", "shuffle", "eta0", "power_t", "average", "precondition", "last_batch",
        }  # fmt: skip

    def test_of_standard_input_is_known_by_its_content(self, stopped, fails, told, folder,
                                                       monkeypatch):  # fmt: skip
        """Whatever way the same table comes, the same run goes on; and no other."""
        text = (folder / "trips.csv").read_bytes()
        kept = ("train", "-", *stopped[2:], "--checkpoint", "run", "--resume", "-m", "m")
        for data in (text[: text.rindex(b"\n", 0, -1) + 1], text):
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
            if data is text:
                assert told(*kept)["went_on"].startswith("after 7 epochs")
            else:
                assert "the table's content differs" in fails(*kept)

    def test_a_run_that_has_ended_makes_room(self, stopped, gradstep, told, tmp_path):
        kept = ("--checkpoint", "run", "--resume")
        assert told(*stopped, *kept)["went_on"].startswith("after 7 epochs")
        again = told(*stopped, *kept, "-m", "again")
        assert "of run 2" in again["went_on"]
        whole = gradstep(*stopped, "-m", "whole")[0]
        assert whole == 0
        assert (tmp_path / "again").read_bytes() == (tmp_path / "whole").read_bytes()
        assert told(*stopped, "--alpha", "0.1", *kept)["went_on"] == ""  # another night's
        assert told(*stopped, "--checkpoint", "run")["went_on"] == ""

    @pytest.mark.parametrize(
        "options, says",
        [
            (("--resume",), "--resume would change nothing without --checkpoint DIR"),
            (("--checkpoint-every", "1h"), "--checkpoint-every would change nothing"),
            (("--checkpoint", "run", "--checkpoint-every", "3"), "--checkpoint-every 3 must be"),
            (("--checkpoint", "file"), "file cannot be a folder of checkpoints: File exists"),
        ],
    )
    def test_what_is_refused(self, train, fails, tmp_path, options, says):
        (tmp_path / "file").touch()
        assert says in fails(*train, *options)
