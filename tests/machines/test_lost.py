"""A lost cluster leaves the best model so far, and a checkpoint from which a run goes on."""

from __future__ import annotations

import sys

import numpy as np
import polars as pl
import pytest

from gradstep import Checkpoint, ClusterLost, fit_table, load, prepare
from gradstep.cli import options
from gradstep.cli.main import main
from gradstep.engine.row_tasks import Evaluate
from gradstep.machines import dask_executor
from gradstep.machines.cluster import spread
from gradstep.machines.dask_executor import DaskExecutor

pytestmark = pytest.mark.usefixtures("_many_shards")
GONE = "gone"
EPOCHS = {"tol": None, "max_iter": 4, "alpha": 1e-4}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A prepared table of two classes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1500, 3))
    y = np.where(x[:, 0] + rng.logistic(size=1500) > 0.0, "yes", "no")
    frame = pl.DataFrame({**{f"x{j}": x[:, j] for j in range(3)}, "y": y})
    return prepare(frame, "y", out=tmp_path_factory.mktemp("tables") / "prepared")


@pytest.fixture
def lost(monkeypatch):
    """Let the cluster be gone after so many evaluations of all rows."""
    run = DaskExecutor.run

    def after(evaluations):
        left = [evaluations]

        def runs(self, task, *more):
            left[0] -= isinstance(task, Evaluate) and not task.constant
            if left[0] < 0:
                raise ClusterLost(GONE)
            return run(self, task, *more)

        monkeypatch.setattr(DaskExecutor, "run", runs)

    yield after
    monkeypatch.setattr(DaskExecutor, "run", run)


@pytest.mark.parametrize("there", [True, False])
def test_a_run_goes_on_with_the_same_bits(prepared, client, lost, tmp_path, monkeypatch, there):
    whole = fit_table(prepared, **EPOCHS)
    run = DaskExecutor.run
    lost(3)
    checkpoint = Checkpoint(tmp_path / "run", "1epochs")
    with pytest.raises(ClusterLost) as error:
        fit_table(prepared, client=client, callbacks=[checkpoint], **EPOCHS)
    assert error.value.model.predict(pl.DataFrame({f"x{j}": [0.5] for j in range(3)})).shape == (1,)
    monkeypatch.setattr(DaskExecutor, "run", run)
    again = Checkpoint(tmp_path / "run", resume=True)
    found = fit_table(prepared, client=client if there else None, callbacks=[again], **EPOCHS)
    assert found.model.params.tobytes() == whole.model.params.tobytes()
    assert [record.loss for record in found.history] == [record.loss for record in whole.history]


def test_there_is_no_model_before_an_epoch_has_ended(prepared, client, lost):
    lost(0)
    with pytest.raises(ClusterLost) as error:
        fit_table(prepared, client=client, **EPOCHS)
    assert error.value.model is None


def test_workers_that_are_paused_are_none(prepared, monkeypatch):
    """In a cluster of its own: what has been paused once is not to be trusted by other tests."""
    from distributed import Client, LocalCluster
    from distributed.core import Status

    monkeypatch.setattr(dask_executor, "_PATIENCE", 0.5)
    monkeypatch.setattr(dask_executor, "_POLL", 0.1)
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, protocol="tcp://",
            host="127.0.0.1", dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False}, memory_limit=0,
        ) as own,
        Client(own, set_as_default=False) as client,
    ):  # fmt: skip
        far = spread(prepared, client).train.executor
        assert far.run(_count, [[(0, 10)]]) == [10]
        client.run(lambda dask_worker: setattr(dask_worker, "status", Status.paused))
        with pytest.raises(ClusterLost, match="silent for"):
            far.run(_count, [[(0, 10)]])


def _count(shard):
    return shard.n


def test_the_command_line_keeps_the_model(prepared, client, lost, tmp_path, monkeypatch, capsys):
    from contextlib import nullcontext

    lost(2)
    monkeypatch.setattr(options, "cluster", lambda _: nullcontext(client))
    out = tmp_path / "best.safetensors"
    words = [
        "gradstep",
        "train",
        prepared.folder,
        "--dask",
        "local",
        "-m",
        out,
        "--tol",
        "none",
        "--alpha",
        "1e-4",
    ]
    monkeypatch.setattr(sys, "argv", [*map(str, words)])
    with pytest.raises(SystemExit, match=r"\A1\Z"):
        main()
    assert capsys.readouterr().err == f"error: gone The best model until then is in {out}.\n"
    assert load(out).params.any()
