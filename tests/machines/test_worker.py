"""A worker lets go of the pages that it has read."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import pytest

from gradstep.machines.worker import let_go
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import DenseRows

STATUS = Path("/proc/self/status")
MEGABYTES = 32


def mapped():
    """Return the megabytes of mapped files that are in this process's memory."""
    lines = STATUS.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssFile")) >> 10


@pytest.mark.skipif(not STATUS.exists() or not hasattr(mmap, "MADV_DONTNEED"), reason="asks Linux")
def test_pages_of_mapped_files_are_let_go(tmp_path):
    np.save(tmp_path / "X.npy", np.ones((MEGABYTES << 14, 8)))
    rows = np.load(tmp_path / "X.npy", mmap_mode="r")
    data = Dataset(DenseRows(rows), np.zeros((len(rows), 1))).part(10, len(rows))
    before = mapped()
    assert rows.sum() == rows.size
    assert mapped() - before > 0.9 * MEGABYTES
    let_go(data)
    assert mapped() - before < 0.1 * MEGABYTES
    assert rows.sum() == rows.size
