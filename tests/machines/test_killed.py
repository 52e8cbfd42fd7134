"""Workers that are killed: what they were writing, or kept, is made again, to the same bytes."""

from __future__ import annotations

import os
import signal

import numpy as np
import polars as pl
import pytest

from gradstep import MiniBatchClassifier, fit_table, predict_parts, prepare
from gradstep.data.sources import pieces as cutting
from gradstep.machines.cluster import connected

FILES, ROWS = 8, 20_000


def _content(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


class _Killer:
    """Kills a worker once something has come back, and others compute."""

    def __init__(self, client):
        self.client, self.left = client, 1

    def __call__(self, done, total):
        if self.left and 0 < done < total:
            self.left -= 1
            os.kill(min(self.client.run(os.getpid).values()), signal.SIGKILL)


@pytest.fixture(scope="module")
def client():
    """A client of a cluster of processes."""
    with connected("local:2") as client:
        yield client


@pytest.mark.slow
def test_files_of_a_killed_worker_are_written_again(tmp_path, monkeypatch, client):
    """In a folder, and in a store."""
    monkeypatch.setattr(cutting, "_LEAST_BYTES", 0)
    table = tmp_path / "table"
    table.mkdir()
    for number in range(FILES):
        rng = np.random.default_rng(number)
        x = rng.normal(size=(ROWS, 4))
        columns = {f"x{j}": x[:, j] for j in range(4)}
        pl.DataFrame({**columns, "y": x.sum(axis=1) + rng.normal(size=ROWS)}).write_csv(
            table / f"{number}.csv"
        )
    model = fit_table(prepare(table, "y", out=tmp_path / "here")).model
    predict_parts(model, table, tmp_path / "parts here")
    for number, scheme in enumerate(("", "file://")):
        prepared, parts = tmp_path / f"there {number}", tmp_path / f"parts there {number}"
        killers = _Killer(client), _Killer(client)
        prepare(table, "y", out=f"{scheme}{prepared}", client=client, watch=killers[0])
        predict_parts(model, table, f"{scheme}{parts}", client=client, watch=killers[1])
        assert [killer.left for killer in killers] == [0, 0]
        assert _content(prepared) == _content(tmp_path / "here")
        assert _content(parts) == _content(tmp_path / "parts here")


@pytest.mark.slow
def test_blocks_that_a_killed_worker_kept_are_made_again(client):
    import dask.array as da

    rng = np.random.default_rng(0)
    X = rng.normal(size=(60_000, 20))
    y = X.sum(axis=1) + rng.logistic(size=X.shape[0]) > 0
    here = MiniBatchClassifier().fit(X, y)
    killed = []

    class Kill:
        def on_epoch_end(self, event):
            if not killed:
                killed.append(min(client.run(os.getpid).values()))
                os.kill(killed[0], signal.SIGKILL)

    with client.as_current():
        far = da.from_array(X, chunks=(7_001, 20))
        there = MiniBatchClassifier(callbacks=[Kill()]).fit(far, y)
    assert len(killed) == 1
    assert there.coef_.tobytes() == here.coef_.tobytes()
    assert there.intercept_.tobytes() == here.intercept_.tobytes()
