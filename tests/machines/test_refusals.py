"""What a cluster cannot do is said as soon as it is known; nothing imports Dask unasked."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gradstep import (
    CannotWrite,
    Checkpoint,
    InvalidParameter,
    InvalidTable,
    fit_table,
    prepare,
    save,
)
from gradstep.errors import ClusterLost, MixedMachines
from gradstep.machines import cluster as clusters
from gradstep.machines import worker
from gradstep.machines.cluster import connected, spread


@pytest.fixture(scope="module")
def frame():
    """A small table."""
    x = np.random.default_rng(0).normal(size=(300, 2))
    return pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": x @ [1.0, 2.0] + 0.1 * x[:, 0] ** 2})


@pytest.fixture
def prepared(frame, tmp_path):
    """It, prepared in a folder."""
    return prepare(frame, "y", out=tmp_path / "prepared")


def test_a_table_in_memory(frame, client):
    with pytest.raises(InvalidParameter, match="in the memory of this process"):
        fit_table(prepare(frame, "y"), client=client)


def test_a_folder_that_a_worker_does_not_see(prepared, client, tmp_path):
    far = spread(prepared, client)
    prepared.folder.rename(tmp_path / "elsewhere")
    with pytest.raises(InvalidTable, match=r"is not there for a worker .* under the same path"):
        fit_table(far)


def test_a_folder_that_has_changed(prepared, client):
    far = spread(prepared, client)
    meta = prepared.folder / "meta.json"
    meta.write_text(meta.read_text() + " ")
    with pytest.raises(InvalidTable, match="is another table for a worker"):
        fit_table(far)


def test_machines_that_compute_otherwise(prepared, client, monkeypatch):
    other = {**worker.identity(), "numpy": "1.0"}
    monkeypatch.setattr(worker, "identity", lambda: other)
    with pytest.raises(MixedMachines, match=r"another numpy \(1\.0, not .*allow_mixed=True"):
        fit_table(prepared, client=client)
    found = fit_table(prepared, client=client, allow_mixed=True)
    assert found.model.params.tobytes() == fit_table(prepared).model.params.tobytes()


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_steps_that_follow_each_other(prepared, client, optimizer):
    with pytest.raises(InvalidParameter, match="cannot be spread over machines"):
        fit_table(prepared, client=client, optimizer=optimizer)


def test_an_error_of_a_task_goes_through(prepared, client):
    far = spread(prepared, client).train.executor
    with pytest.raises(ZeroDivisionError):
        far.run(_divide, [[(0, 10)]])


def _divide(shard):
    return shard.n / 0


@pytest.mark.parametrize("where", ["localhost:8786", "local:", "local:x", "http://here", ""])
def test_what_is_no_cluster(where):
    with pytest.raises(InvalidParameter, match=f"{re.escape(repr(where))} is no cluster: give"):
        connected(where).__enter__()


def test_no_workers():
    with pytest.raises(InvalidParameter, match="local:0 has no workers"):
        connected("local:0").__enter__()


def test_a_scheduler_that_is_not_there(monkeypatch):
    monkeypatch.setattr(clusters, "_CONNECT_TIMEOUT", 0.3)
    with pytest.raises(ClusterLost, match=r"No scheduler answers at tcp://127.0.0.1:1 .*dask sch"):
        connected("tcp://127.0.0.1:1").__enter__()


def test_a_cluster_that_runs_is_used_and_left(client, frame, tmp_path):
    address = client.scheduler.address
    prepared = prepare(frame, "y", out=tmp_path / "prepared")
    with connected(address) as found:
        assert fit_table(prepared, client=found).outcome.name == "OPTIMAL"
    assert client.scheduler_info()["workers"]


STORE = "s3://bucket/trips"


@pytest.mark.parametrize(
    "do",
    [
        lambda _: prepare("rows.csv", "y", cache=Path("gs://bucket/cache")),
        lambda frame: fit_table(frame, "y", callbacks=[Checkpoint(STORE)]),
        lambda frame: save(fit_table(frame, "y").model, STORE),
    ],
)
def test_an_object_store_is_no_folder(frame, tmp_path, monkeypatch, do):
    monkeypatch.chdir(tmp_path)
    frame.write_csv("rows.csv")
    with pytest.raises(CannotWrite, match=r"(s3|gs)://bucket/\w+ is an address, .* Mount the buck"):
        do(frame)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_without_dask(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InvalidParameter, match=r"pip install 'gradstep\[dask\]'"):
        connected("local:1").__enter__()


@pytest.mark.slow
def test_nothing_of_dask_is_imported_unasked(frame, tmp_path):
    frame.write_csv(tmp_path / "rows.csv")
    program = (
        "import sys, gradstep.cli.main as cli\n"
        "sys.argv = ['gradstep', 'train', 'rows.csv', '-t', 'y', '--no-cache', '--json']\n"
        "cli.main()\n"
        "import gradstep\n"
        "gradstep.MiniBatchRegressor().fit([[0.0], [1.0]], [0.0, 1.0])\n"
        "found = {name.partition('.')[0] for name in sys.modules}\n"
        "assert not found & {'dask', 'distributed', 'tornado'}, found\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_allow_mixed_alone_changes_nothing(tmp_path, frame, capsys, monkeypatch):
    from gradstep.cli.main import main

    frame.write_csv(tmp_path / "rows.csv")
    words = ["gradstep", "train", str(tmp_path / "rows.csv"), "-t", "y", "--allow-mixed"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit):
        main()
    assert "--allow-mixed would change nothing" in capsys.readouterr().err
