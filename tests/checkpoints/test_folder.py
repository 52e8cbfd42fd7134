"""What lies in the folder of a checkpoint: which file is taken, what is refused, what is kept."""

from __future__ import annotations

import errno
import json
import os

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load, save

import gradstep as gs
from gradstep import Checkpoint, MiniBatchRegressor, Outcome, tensor_file
from gradstep.engine.checkpoint_folder import CheckpointFolder, Content
from gradstep.files import temporary_folder
from tests.checkpoints.stops import Stop
from tests.engine.cases import regression

DATA = regression(n=90)
X, Y = DATA.rows.values, DATA.y[:, 0]
ADAM = {
    "optimizer": "adam", "learning_rate": 0.05, "batch_size": 8, "max_iter": 6, "tol": None,
    "penalty": "elasticnet", "penalty_scale": "unit",
}  # fmt: skip


def fit(folder, *others, resume=True, every="3steps", X=X, y=Y, **changes):
    checkpoint = Checkpoint(folder, every, resume=resume)
    model = MiniBatchRegressor(**ADAM | changes, callbacks=[*others, checkpoint])
    return model.fit(X, y)


@pytest.fixture(scope="module")
def whole():
    return MiniBatchRegressor(**ADAM).fit(X, Y)


@pytest.fixture
def run(tmp_path):
    """The folder of a run that was stopped in its third epoch."""
    folder = tmp_path / "run"
    fit(folder, Stop(20))
    return folder


def files(folder):
    return sorted(folder.glob("*"))


def entry_of(path):
    with safe_open(path, framework="numpy") as file:
        return json.loads(file.metadata()["gradstep-checkpoint"])


def forged(path, arrays=None, **changes):
    """Write other arrays or another header, with a checksum that is right."""
    arrays = load(path.read_bytes()) | (arrays or {})
    content = {k: v for k, v in entry_of(path).items() if k != "sha256"} | changes
    content["state"] = {name: [a.dtype.str, list(a.shape)] for name, a in arrays.items()}
    digest = tensor_file._checksum(content, arrays)
    entry = json.dumps({**content, "sha256": digest})
    path.write_bytes(save(arrays, {"gradstep-checkpoint": entry}))


class TestKept:
    def test_are_the_last_two(self, run, whole):
        assert len(files(run)) == 2
        numbers = [int(path.stem.rpartition("-")[2]) for path in files(run)]
        assert numbers[1] == numbers[0] + 1 > 2
        model = fit(run)
        assert model.coef_.tobytes() == whole.coef_.tobytes()
        assert len(files(run)) == 1

    def test_what_a_kill_at_the_very_end_has_left_goes_too(self, run, whole):
        """One that comes between the last checkpoint and the removal of the one before."""
        before = files(run)[0].read_bytes()
        fit(run)
        (ended,) = files(run)
        ended.with_name("checkpoint-00000001.safetensors").write_bytes(before)
        assert fit(run).coef_.tobytes() == whole.coef_.tobytes()
        assert files(run) == [ended]

    def test_what_a_kill_has_left_unfinished_goes_though_nothing_more_is_written(self, run, whole):
        fit(run)
        with temporary_folder(run) as left:
            pass
        left.write_bytes(b"half a checkpoint")
        os.utime(left, (0, 0))
        assert fit(run).coef_.tobytes() == whole.coef_.tobytes()
        assert len(files(run)) == 1
        assert not left.exists()

    def test_none_of_a_short_run(self, tmp_path):
        fit(tmp_path / "run", every="1h")
        assert files(tmp_path / "run") == []

    def test_none_of_one_that_diverges_again_and_again(self, tmp_path):
        with pytest.raises(gs.Diverged):
            fit(tmp_path / "run", optimizer="sgd", learning_rate=1e6)
        assert files(tmp_path / "run") == []


class TestDamaged:
    @pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
    def test_the_newest_gives_way_to_the_one_before(self, run, whole, damage):
        newest = files(run)[1]
        content = bytearray(newest.read_bytes())
        content[-9] ^= 1
        cut = newest.read_bytes()[:-7]
        newest.write_bytes({"cut": cut, "flip": bytes(content), "empty": b""}[damage])
        with pytest.warns(gs.CheckpointWarning, match=f"{newest}.*goes on from .* before it"):
            model = fit(run)
        assert model.coef_.tobytes() == whole.coef_.tobytes()
        assert len(files(run)) == 1

    def test_the_damaged_one_goes_first(self, run):
        newest, before = files(run)[1], files(run)[0]
        newest.write_bytes(b"")
        with pytest.warns(gs.CheckpointWarning):
            fit(run, Stop(2))
        assert newest not in files(run)
        assert before in files(run)

    def test_all(self, run):
        for path in files(run):
            path.write_bytes(b"x")
        for resume in (True, False):
            with pytest.raises(
                gs.InvalidCheckpoint, match=r"No other checkpoint in .* can be read"
            ):
                fit(run, resume=resume)

    @pytest.mark.parametrize(
        "arrays",
        [
            {"state.params": np.zeros(5)}, {"state.params": np.zeros(4, np.int64)},
            {"state.slots": np.zeros((3, 4))}, {"state.batch": np.array(10**6)},
            {"state.batch": np.array(-2)}, {"state.since": np.full(4, 5000, np.int32)},
            {"state.epoch": np.array(1.5)}, {"state.more": np.zeros(3)},
            {"state.restarts": np.array(10**6)}, {"state.counters": np.full(5, np.nan)},
            {"state.behind": np.zeros((3, 4))},
        ],
    )  # fmt: skip
    def test_a_state_that_does_not_fit_is_refused(self, run, arrays):
        for path in files(run):
            forged(path, arrays)
        with pytest.raises(gs.InvalidCheckpoint, match="is damaged"):
            fit(run)

    @pytest.mark.parametrize(
        "changes",
        [
            {"asked": {"alpha": 1}}, {"asked": None}, {"seed": "0"}, {"run": 3}, {"run": -1},
            {"outcome": "?"}, {"callbacks": [1]}, {"ended": [[0, 1.0, "OPTIMAL", 0, [], []]]},
            {"callbacks": [["History", {}]]}, {"callbacks": [["History", {"records": [[1]]}]]},
            {"done": 1}, {"more": 1}, {"format": 2}, {"version": 3},
        ],
    )  # fmt: skip
    def test_a_header_that_is_not_ours_is_refused(self, run, changes):
        for path in files(run):
            forged(path, **changes)
        with pytest.raises(gs.InvalidCheckpoint):
            fit(run)

    @pytest.mark.parametrize("restarts", [-1, 10**6, 1.0])
    def test_a_run_that_ended_after_so_many_restarts_is_none(self, run, restarts):
        def forge(restarts):
            for path in files(run):
                ended = [[0, 1.0, "OPTIMAL", restarts, [], []]]
                forged(path, {"ended.0": np.zeros(4)}, run=1, ended=ended)

        forge(0)
        assert Content.read(files(run)[-1]).ended[0].restarts == 0
        with pytest.raises(gs.InvalidCheckpoint, match="is a single run"):
            fit(run)
        forge(restarts)
        with pytest.raises(gs.InvalidCheckpoint, match="is damaged"):
            Content.read(files(run)[-1])

    def test_is_told_from_a_model(self, run):
        with pytest.raises(gs.InvalidModel, match="not one that gradstep wrote as a model"):
            gs.load(files(run)[0])


class TestSame:
    def test_parameters_and_data_are_asked_for(self, run):
        with pytest.raises(gs.InvalidCheckpoint, match=r"alpha was 0\.0001, and is 0\.1"):
            fit(run, alpha=0.1)
        with pytest.raises(gs.InvalidCheckpoint, match="the data differs"):
            fit(run, y=Y + (np.arange(90) == 40))
        with pytest.raises(gs.InvalidCheckpoint, match="the data differs"):
            fit(run, X=X * 2.0)
        with pytest.raises(gs.InvalidCheckpoint, match="what is held out differs"):
            fit(run, early_stopping=True)

    def test_so_is_where_it_starts(self, run):
        model = MiniBatchRegressor(**ADAM, callbacks=[Checkpoint(run, resume=True)])
        with pytest.raises(gs.InvalidCheckpoint, match="where it starts from differs"):
            model.fit(X, Y, coef_init=[1.0, 2.0, 3.0])

    def test_another_version_is_refused(self, run):
        for path in files(run):
            forged(path, version="7.1")
        with pytest.raises(gs.InvalidCheckpoint, match=r"written by gradstep 7\.1, and"):
            fit(run)

    def test_a_seed_that_was_drawn_is_kept(self, tmp_path):
        stopped = fit(tmp_path, Stop(20), random_state=None)
        assert fit(tmp_path, random_state=None).seed_ == stopped.seed_

    def test_unfinished_is_refused_without_resume(self, run):
        with pytest.raises(gs.InvalidCheckpoint, match=r"Go on with it \(resume=True\), or delete"):
            fit(run, resume=False)

    def test_partial_fit_is_refused(self, tmp_path):
        with pytest.raises(gs.InvalidParameter, match="pickle the estimator"):
            MiniBatchRegressor(callbacks=[Checkpoint(tmp_path)]).partial_fit(X, Y)

    def test_two_are_refused(self, tmp_path):
        with pytest.raises(gs.InvalidParameter, match="2 of the callbacks"):
            fit(tmp_path, Checkpoint(tmp_path))

    @pytest.mark.parametrize("every", ["", "5", 5, "0s", "1.5steps", "5 fortnights", "-1h"])
    def test_an_interval_that_is_none_is_refused(self, every):
        with pytest.raises(gs.InvalidParameter, match="must be a time, a number of epochs"):
            Checkpoint("x", every)


class TestFolder:
    def test_is_held_by_one_run(self, run):
        with CheckpointFolder(run).held(), pytest.raises(gs.CannotWrite, match="another run"):
            fit(run)

    def test_that_cannot_be_made_is_refused_first(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(gs.CannotWrite, match="cannot be a folder of checkpoints"):
            fit(tmp_path / "file")

    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
    def test_that_takes_no_more_keeps_what_is_there(self, run, whole, monkeypatch, code):
        before = files(run)

        def fail(_):
            raise OSError(code, os.strerror(code))

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fail)
            with pytest.warns(gs.CheckpointWarning) as warned:
                fit(run, Stop(5))
        assert "No checkpoint could be written" in str(warned[0].message)
        assert os.strerror(code) in str(warned[0].message)
        assert files(run) == before
        assert fit(run).coef_.tobytes() == whole.coef_.tobytes()


class TestCallbacks:
    def test_go_on_with_what_they_keep(self, tmp_path):
        def others():
            return gs.History(full_objective=True), gs.EarlyStopping(min_delta=0.01, patience=2)

        history, stop = others()
        whole = MiniBatchRegressor(**ADAM | {"max_iter": 50}, callbacks=[history, stop]).fit(X, Y)
        assert whole.outcome_ is Outcome.CALLBACK
        for _ in range(500):
            mine, stop = others()
            model = fit(tmp_path, mine, stop, Stop(3), max_iter=50)
            if model.outcome_ is not Outcome.INTERRUPTED:
                break
        assert model.coef_.tobytes() == whole.coef_.tobytes()
        assert mine.objectives == history.objectives
        assert [r.loss for r in mine.records] == [r.loss for r in history.records]
        assert model.n_iter_ == whole.n_iter_ < 50

    def test_that_ended_the_run_are_not_asked_again(self, tmp_path):
        fit(tmp_path, gs.EarlyStopping(target=1e9), every="1epochs")
        checkpoint = Checkpoint(tmp_path, resume=True)
        stop = gs.EarlyStopping(target=1e9)
        model = MiniBatchRegressor(**ADAM, callbacks=[stop, checkpoint]).fit(X, Y)
        assert checkpoint.went_on.startswith("after 1 epoch")
        assert (model.n_iter_, model.outcome_) == (1, Outcome.CALLBACK)
