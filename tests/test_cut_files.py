"""Files that are cut while they are mapped: an error, where SIGBUS would end the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from threading import Barrier, Thread

import numpy as np
import polars as pl
import pytest

from gradstep import Checkpoint, InvalidTable, MiniBatchRegressor, fit_table, open_prepared, prepare
from gradstep.cut_files import refusing_cut_files

ROWS = 20_000
CUT = r"train_{}\.npy was cut short while it was read.*prepare it again"


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=ROWS)
    table = pl.DataFrame({"x": x, "z": rng.normal(size=ROWS), "y": x + rng.normal(size=ROWS)})
    prepare(table, "y", out=tmp_path / "rows")
    return tmp_path / "rows"


class Cutting:
    """Cuts a file after the first epoch."""

    def __init__(self, path):
        self.path = path

    def on_epoch_end(self, event):
        if event.record.epoch == 1:
            os.truncate(self.path, 4096)


@pytest.mark.parametrize("optimizer", ["sgd", "auto"])
def test_in_training(folder, tmp_path, optimizer):
    """Nothing that came of the zeros is written down."""
    run = tmp_path / "run"
    cutting = Cutting(folder / "train_values.npy")
    with pytest.raises(InvalidTable, match=CUT.format("values")):
        fit_table(
            open_prepared(folder), None, optimizer=optimizer, max_iter=9, tol=None,
            callbacks=[cutting, Checkpoint(run, every="1epochs")],
        )  # fmt: skip
    assert [path.name for path in run.iterdir()] == ["checkpoint-00000001.safetensors"]
    with pytest.raises(InvalidTable, match="not as long as it was"):
        open_prepared(folder)


def test_in_an_estimator(folder):
    cutting = Cutting(folder / "train_y.npy")
    with pytest.raises(InvalidTable, match=CUT.format("y")):
        MiniBatchRegressor(callbacks=[cutting], tol=None).fit(open_prepared(folder))


def test_by_threads_that_are_sent_the_signal_at_once(tmp_path):
    """One of them puts the zeros there, while the others look for the file."""
    path, threads = tmp_path / "ones.npy", 8
    for _ in range(20):
        np.save(path, np.ones(100_000))
        ones, found, together = np.load(path, mmap_mode="r"), [], Barrier(threads)

        @refusing_cut_files()
        def cut_and_read(readers, path):
            os.truncate(path, 8192)
            for reader in readers:
                reader.start()
            for reader in readers:
                reader.join()

        def read(ones=ones, found=found, together=together):
            together.wait()
            found.append(float(ones[5_000:].sum()))

        readers = [Thread(target=read) for _ in range(threads)]
        with pytest.raises(InvalidTable, match=r"ones\.npy was cut short"):
            cut_and_read(readers, path)
        assert found == [0.0] * threads
        path.unlink()


def test_by_several_threads_and_nested(tmp_path):
    path = tmp_path / "ones.npy"
    np.save(path, np.ones(100_000))
    ones, found = np.load(path, mmap_mode="r"), []

    def read():
        with refusing_cut_files():
            found.append(float(ones[5_000:].sum()))

    @refusing_cut_files()
    def cut_and_read():
        os.truncate(path, 8192)
        threads = [Thread(target=lambda: found.append(float(ones[5_000:].sum()))) for _ in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        read()

    with pytest.raises(InvalidTable, match=r"ones\.npy was cut short"):
        cut_and_read()
    assert found == [0.0] * 4
    with refusing_cut_files():  # the next one knows nothing of it
        assert ones[:10].sum() == 10.0


def test_elsewhere_the_signal_does_what_it_did():
    """Also what is no touch of a file."""
    program = (
        "import os, signal\n"
        "from gradstep.cut_files import refusing_cut_files\n"
        "with refusing_cut_files():\n"
        "    pass\n"
        "os.kill(os.getpid(), signal.SIGBUS)\n"
    )
    for text in (program, program.replace("pass\n", "pass\n    os.kill(os.getpid(), 7)\n")):
        done = subprocess.run([sys.executable, "-c", text], check=False)
        assert done.returncode == -signal.SIGBUS
