"""A cluster in this process, and small tables of many shards."""

from __future__ import annotations

import pytest

from gradstep import scratch
from gradstep.data.preparing import remote
from gradstep.machines import worker
from gradstep.rows import shards


@pytest.fixture(scope="package")
def cluster():
    """A cluster whose workers are threads of this process."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, protocol="tcp://", host="127.0.0.1",
        dashboard_address="127.0.0.1:0", scheduler_kwargs={"dashboard": False}, memory_limit=0,
    ) as started:  # fmt: skip
        yield started


@pytest.fixture(scope="package")
def client(cluster):
    """Return a client of it."""
    from distributed import Client

    with Client(cluster) as connected:
        yield connected


@pytest.fixture
def _many_shards(monkeypatch):
    """Cut small tables into many shards."""
    monkeypatch.setattr(shards, "_SHARD_BYTES", 1 << 12)
    monkeypatch.setattr(shards, "_NUMBERS_A_FEATURE", 0.1)


@pytest.fixture(autouse=True)
def _nothing_kept():
    """Let workers open their tables anew."""
    worker._opened.cache_clear()
    worker._shard.cache_clear()


@pytest.fixture
def store(monkeypatch, tmp_path_factory):
    """Return the address of a folder in a store that is this process's memory."""
    import fsspec

    home = tmp_path_factory.mktemp("cache")
    for name in ("tables", "scratch"):
        (home / name).mkdir()
    for module in (remote, scratch):
        monkeypatch.setattr(module, "private_folder", home.joinpath)
    yield "memory://bucket/trips"
    fsspec.filesystem("memory").store.clear()
