"""A model has the same bits with a cluster and without, however many workers there are."""

from __future__ import annotations

import sys
import time

import numpy as np
import polars as pl
import pytest

from gradstep import fit_table, load, prepare
from gradstep.cli.main import main
from gradstep.data.preparing.prepared import open_prepared
from gradstep.engine.row_sums import RowSums
from gradstep.machines.cluster import spread
from gradstep.objective.classification import LogLoss
from gradstep.rows import shards

N = 1500
pytestmark = pytest.mark.usefixtures("_many_shards")


def table(target, *, coded=False):
    """Return a frame of numbers, or of a number and categories."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 3))
    levels = rng.integers(0, 5, (N, 2))
    score = x[:, 0] - 0.5 * x[:, 1] + (levels[:, 0] == 2 if coded else 0.0)
    y = {
        "number": score + rng.normal(size=N),
        "two": np.where(score + rng.logistic(size=N) > 0, "yes", "no"),
        "count": rng.poisson(np.exp(0.5 * score)).astype(float),
        "three": np.array(["a", "b", "c"])[
            (score[:, None] * [1.0, -1.0, 0.0] + rng.gumbel(size=(N, 3))).argmax(axis=1)
        ],
    }[target]
    columns = {f"x{j}": x[:, j] * 10.0**j for j in range(1 if coded else 3)}
    if coded:
        columns |= {f"c{j}": np.array(list("vwxyz"))[levels[:, j]] for j in range(2)}
    return pl.DataFrame({**columns, "y": y})


def sparse_text(path):
    """Write sparse text of two classes."""
    rng = np.random.default_rng(1)
    coef = rng.normal(size=20)
    lines = []
    for _ in range(N):
        at = np.sort(rng.choice(20, rng.integers(1, 6), replace=False))
        x = rng.normal(size=at.size)
        label = 1 if x @ coef[at] + rng.logistic() > 0 else -1
        entries = " ".join(f"{j}:{v:.3f}" for j, v in zip(at, x, strict=True))
        lines.append(f"{label} {entries}\n")
    path.write_text("".join(lines))


def have_workers(cluster, client, n):
    """Have a number of workers."""
    cluster.scale(n)
    while len(client.nthreads()) != n:
        time.sleep(0.01)


def bits(fit):
    """Return all that must be the same."""
    losses = [record.loss for record in fit.history]
    return fit.model.params.tobytes(), losses, fit.validation, fit.outcome, fit.notes


CASES = {
    "squared, coded": ("number", {"coded": True}, {}),
    "poisson, dense": ("count", {}, {"loss": "poisson"}),
    "softmax, coded": ("three", {"coded": True}, {}),
    "l1, dense": ("two", {}, {"penalty": "l1", "alpha": 0.01}),
    "l1, sparse": (None, {}, {"penalty": "l1", "alpha": 0.01}),
    "sparse": (None, {}, {}),
}


QUICK = {"squared, coded"}


@pytest.fixture(
    params=[pytest.param(c, marks=[] if c in QUICK else pytest.mark.slow) for c in CASES],
    scope="module",
)
def case(request, tmp_path_factory):
    """A prepared table in a folder, and how to fit it."""
    target, how, options = CASES[request.param]
    home = tmp_path_factory.mktemp("tables")
    if target is None:
        sparse_text(home / "rows.svm")
        return prepare(home / "rows.svm", "label", out=home / "prepared"), options
    return prepare(table(target, **how), "y", out=home / "prepared"), options


def test_with_any_number_of_workers(case, cluster, client):
    prepared, options = case
    assert len(prepared.train.shards()) > 4
    here = bits(fit_table(prepared, **options))
    for n in (1, 3):
        have_workers(cluster, client, n)
        assert bits(fit_table(prepared, client=client, **options)) == here


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A prepared table of two classes."""
    folder = tmp_path_factory.mktemp("tables") / "prepared"
    return prepare(table("two"), "y", out=folder)


def test_with_more_workers_than_shards(prepared, cluster, client, monkeypatch):
    monkeypatch.setattr(shards, "_SHARD_BYTES", 1 << 40)
    assert len(prepared.train.shards()) == 1
    have_workers(cluster, client, 3)
    assert bits(fit_table(prepared, client=client)) == bits(fit_table(prepared))


def test_with_a_worker_that_comes_in_mid_run(prepared, cluster, client):
    have_workers(cluster, client, 1)

    class More:
        def on_epoch_end(self, event):
            if event.record.epoch == 2:
                have_workers(cluster, client, 2)

    how = {"tol": None, "max_iter": 4}
    found = fit_table(prepared, client=client, callbacks=[More()], **how)
    assert len(client.scheduler_info()["workers"]) == 2
    assert bits(found) == bits(fit_table(prepared, **how))


@pytest.mark.slow
def test_with_a_client_that_is_not_the_default(prepared, cluster, monkeypatch):
    import distributed

    monkeypatch.setattr(distributed.client, "_global_clients", {})
    with distributed.Client(cluster, set_as_default=False) as own:
        assert bits(fit_table(prepared, client=own)) == bits(fit_table(prepared))


def test_while_progress_is_watched(prepared, client):
    seen = []
    far = spread(prepared, client, watch=lambda done, of: seen.append((done, of)))
    with RowSums(far.train, 1) as sums, RowSums(prepared.train, 1) as own:
        point = np.linspace(-0.5, 0.5, 4)
        assert sums.mean_loss(LogLoss(), point) == own.mean_loss(LogLoss(), point)
    n = len(prepared.train.shards())
    assert seen[-1] == (n, n)


def test_a_table_is_prepared_where_workers_find_it(client, tmp_path):
    frame = table("number")
    path, cache = tmp_path / "rows.parquet", tmp_path / "cache"
    frame.write_parquet(path)
    found = fit_table(str(path), "y", client=client, cache=cache)
    assert found.prepared.folder.parent == cache
    assert bits(found) == bits(fit_table(frame, "y"))


@pytest.mark.slow
def test_of_processes_through_the_command_line(tmp_path, monkeypatch, capsys):
    prepared = prepare(table("number", coded=True), "y", out=tmp_path / "prepared")
    out = tmp_path / "there.safetensors"
    words = ["train", prepared.folder, "--dask", "local:2", "-m", out, "--json"]
    monkeypatch.setattr(sys, "argv", ["gradstep", *map(str, words)])
    with pytest.raises(SystemExit, match=r"\A0\Z"):
        main()
    assert capsys.readouterr().err == ""
    here = fit_table(open_prepared(prepared.folder)).model
    assert load(out).params.tobytes() == here.params.tobytes()
    assert load(out).provenance == here.provenance
