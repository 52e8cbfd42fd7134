"""The cache of compiled kernels: never stale, never broken, never in the way."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import stat
import time
import warnings
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
import pytest

import gradstep
from gradstep import cache_folder, jit
from gradstep.cache_folder import mark
from gradstep.objective.regression import Huber
from tests.processes import python

PACKAGE = Path(gradstep.__file__).parent

PROGRAM = """
import numpy as np
from gradstep.rows.dataset import Dataset
from gradstep.engine.evaluation import mean_loss
from gradstep.engine.kernels.tiles import sum_of_losses
from gradstep.rows.layouts import DenseRows
from gradstep.objective.regression import SquaredError as Loss
{more}
data = Dataset(DenseRows(np.ones((4, 1))), np.full((4, 1), 3.0))
print(mean_loss(Loss(), data, np.zeros(2), 1), sum(sum_of_losses.stats.cache_hits.values()))
"""


def answer(process):
    """Return what the process printed: the mean loss, and how many kernels came from disk."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    loss, hits = out.split()
    return float(loss), int(hits)


def run(cache, more="", path=None):
    return answer(python(PROGRAM.format(more=more), cache, path))


def kernels(cache):
    """Return the files of the cache and when each was written, but for what marks it as ours."""
    return {
        path.relative_to(cache): path.stat().st_mtime_ns
        for path in cache.rglob("*")
        if path.is_file() and path.name != "CACHEDIR.TAG"
    }


class TestAcrossProcesses:
    @pytest.mark.slow
    def test_two_fill_the_cache_at_once_and_the_third_compiles_nothing(self, tmp_path):
        both = [python(PROGRAM.format(more=""), tmp_path) for _ in range(2)]
        assert [answer(process)[0] for process in both] == [4.5, 4.5]
        written = kernels(tmp_path)
        # the kernel, the loss, and what all losses share; nothing temporary is left
        assert [path.suffix for path in written] == [".bin"] * 3
        assert run(tmp_path) == (4.5, 1)
        assert kernels(tmp_path) == written

    @pytest.mark.slow
    def test_a_changed_source_is_compiled_again(self, tmp_path):
        """A loss in one file, the kernel that calls it in another."""
        shutil.copytree(PACKAGE, tmp_path / "path/gradstep")
        cache, source = tmp_path / "cache", tmp_path / "path/gradstep/objective/regression.py"
        text, formula = source.read_text(), "return {} * (z - y) * (z - y)"
        assert formula.format(0.5) in text
        assert run(cache, path=tmp_path / "path") == (4.5, 0)
        source.write_text(text.replace(formula.format(0.5), formula.format(2.5)))
        assert run(cache, path=tmp_path / "path") == (22.5, 0)
        assert len(kernels(cache)) == 2 * 3  # kernel, loss, and what all losses share

    @pytest.mark.slow
    def test_users_own_components_are_not_kept(self, tmp_path):
        own = """
from typing import NamedTuple
class Loss(NamedTuple):
    def value(self, y, z):
        return abs(z - y)
    def slope(self, y, z):
        return 0.0
"""
        assert run(tmp_path, own) == (3.0, 0)
        kept = {path.name.partition("-")[0] for path in kernels(tmp_path)}
        assert kept == {"sum_of_losses", "tile_losses"}  # for any loss: nothing of this one


class Own(NamedTuple):
    factor: float = 3.0


class Harm:
    """What a pickle can do that is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.mkdir, (self.path,)


def scaled(component, x):
    return component[0] * x


def scaled_by_inner(components, x):
    return components[0][0] * x


LARGE = np.zeros(1 << 18)


def scaled_by_large(component, x):
    return LARGE[0] * component[0] * x


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(jit, "kernel_folder", lambda: tmp_path)
    return tmp_path


def call(component, x=2.0, function=scaled):
    """Return the result of a new dispatcher, and whether its code came from disk."""
    dispatcher = jit.compiled(function)
    result = dispatcher(component, x)
    return result, bool(sum(dispatcher.stats.cache_hits.values()))


class TestFiles:
    def test_one_for_each_combination_of_types(self, folder):
        for component in (Huber(1.0), Huber(1.0), Huber(2.0), (1.0,)):
            call(component)
        call(Huber(1.0), np.ones(3))
        assert len(kernels(folder)) == 3
        assert call(Huber(4.0)) == (8.0, True)

    def test_components_of_others_are_not_kept(self, folder):
        assert call(Own()) == (6.0, False)
        assert call((Own(),), function=scaled_by_inner) == (6.0, False)
        assert kernels(folder) == {}
        assert call((Huber(3.0),), function=scaled_by_inner) == (6.0, False)
        assert len(kernels(folder)) == 1

    @pytest.mark.parametrize(
        "damage",
        [
            lambda _: b"",
            lambda data: data[: len(data) // 2],
            lambda data: data[:-1],
            lambda data: b"\0" * len(data),
            lambda _: b"no pickle at all",
            lambda data: data.replace(b"scaled", b"sca1ed"),
            lambda data: data[: len(data) // 2] + b"\xff" * 64 + data[len(data) // 2 + 64 :],
        ],
        ids=["empty", "half", "cut", "zeros", "foreign", "changed", "overwritten"],
    )
    def test_a_damaged_one_is_made_again(self, folder, damage):
        call(Huber(1.0))
        (path,) = folder.iterdir()
        whole = path.read_bytes()
        path.write_bytes(damage(whole))
        assert path.read_bytes() != whole
        assert call(Huber(5.0)) == (10.0, False)
        assert abs(len(path.read_bytes()) - len(whole)) < 100
        assert call(Huber(5.0)) == (10.0, True)

    @pytest.mark.parametrize("wrong", ["others may write", "belongs to another", "a link"])
    def test_one_that_somebody_else_may_have_written_is_not_run(self, folder, wrong, monkeypatch):
        """And its pickle is not read; a new one takes its place, for its owner alone."""
        call(Huber(1.0))
        (path,) = folder.iterdir()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        harm = pickle.dumps(Harm(folder / "harm"))
        path.write_bytes(hashlib.sha256(harm).digest() + harm)
        if wrong == "others may write":
            path.chmod(0o620)
        elif wrong == "a link":
            path.rename(folder / "other")
            path.symlink_to("other")
        else:
            monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
            monkeypatch.setattr(cache_folder, "_TRUSTED", set())
        with warnings.catch_warnings() if wrong == "a link" else pytest.warns(match=wrong):
            assert call(Huber(5.0)) == (10.0, False)
        monkeypatch.undo()
        monkeypatch.setattr(jit, "kernel_folder", lambda: folder)
        assert call(Huber(5.0)) == (10.0, True)
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600
        assert not (folder / "harm").exists()

    def test_code_with_addresses_of_this_process_is_not_kept(self, folder):
        """As that of a large array of the module."""
        assert call(Huber(1.0), function=scaled_by_large) == (0.0, False)
        assert kernels(folder) == {}

    def test_one_that_compiles_is_waited_for_until_the_file_is_there(self, folder, monkeypatch):
        """Else who waits finds nothing, and compiles it as well."""
        save, claims = jit.KernelCache.save_overload, []

        def saving(cache, *arguments):
            claims.extend(path.suffix for path in folder.iterdir())
            save(cache, *arguments)

        monkeypatch.setattr(jit.KernelCache, "save_overload", saving)
        call(Huber(1.0))
        assert claims == [".claim"]
        assert [path.suffix for path in folder.iterdir()] == [".bin"]

    def test_one_that_cannot_be_compiled_is_not_waited_for(self, folder):
        with pytest.raises(numba.TypingError):
            call(Huber(1.0), "text")
        assert list(folder.iterdir()) == []

    def test_a_folder_that_vanishes(self, folder):
        call(Huber(1.0))
        shutil.rmtree(folder)
        assert call(Huber(1.0)) == (2.0, False)

    def test_a_disk_that_is_full(self, folder, monkeypatch):
        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "replace", full)
        assert call(Huber(1.0)) == (2.0, False)
        assert kernels(folder) == {}  # what could not be finished is taken away

    def test_without_a_folder(self, monkeypatch):
        monkeypatch.setattr(jit, "kernel_folder", lambda: None)
        assert call(Huber(3.0)) == (6.0, False)


class TestSettings:
    """What was compiled under other settings of Numba is not taken for what is wanted now."""

    @pytest.mark.parametrize(
        "name, value",
        [
            ("BOUNDSCHECK", 1),
            ("CPU_NAME", "generic"),
            ("CPU_FEATURES", ""),
            ("DEBUGINFO_DEFAULT", 1),
            ("DISABLE_INTEL_SVML", 1),
            ("ENABLE_AVX", 0),
            ("LLVM_REFPRUNE_PASS", 0),
            ("LOOP_VECTORIZE", 0),
            ("OPT", numba.config.OPT.__class__(1)),
            ("SLP_VECTORIZE", 1),
            ("USING_SVML", True),
        ],
    )
    def test_that_change_machine_code_have_files_of_their_own(
        self, folder, monkeypatch, name, value
    ):
        call(Huber(1.0))
        (path,) = folder.iterdir()
        monkeypatch.setattr(numba.config, name, value)
        assert call(Huber(1.0)) == (2.0, False)
        assert len(kernels(folder)) == 2
        path.unlink()
        assert call(Huber(1.0)) == (2.0, True)

    @pytest.mark.parametrize(
        "name, value",
        [
            ("NUMBA_NUM_THREADS", 1),
            ("CACHE_DIR", "x"),
            ("COLOR_SCHEME", "light_bg"),
            ("_HAVE_YAML", "?"),
        ],
    )
    def test_that_change_none_do_not_count(self, folder, monkeypatch, name, value):
        call(Huber(1.0))
        monkeypatch.setattr(numba.config, name, value)
        assert call(Huber(1.0)) == (2.0, True)

    @pytest.mark.slow
    def test_bounds_are_checked_though_there_is_code_without_checks(self, tmp_path):
        program = """
import numpy as np
from gradstep.data.kernels.columns import _gather_rows
_gather_rows(np.ones((4, 1)), np.full(3, {at}, np.uint32), np.ones((3, 1)))
print(1.0, 0)
"""
        answer(python(program.format(at=3), tmp_path))
        checked = python(program.format(at=4), tmp_path, NUMBA_BOUNDSCHECK="1")
        assert "IndexError" in checked.communicate(timeout=300)[1]

    @pytest.mark.slow
    def test_without_optimisation_it_runs(self, tmp_path):
        """There, addresses of the process remain in the code, which is not kept then."""
        assert answer(python(PROGRAM.format(more=""), tmp_path, NUMBA_OPT="0")) == (4.5, 0)


class TestFolder:
    @pytest.fixture(autouse=True)
    def own_cache(self, tmp_path, monkeypatch):
        monkeypatch.setenv("GRADSTEP_CACHE_DIR", str(tmp_path))
        jit.kernel_folder.cache_clear()
        yield
        jit.kernel_folder.cache_clear()

    def folder_of_age(self, tmp_path, name, days, *, ours=True):
        folder = tmp_path / "kernels" / name
        folder.mkdir(parents=True)
        if ours:
            mark(folder)
        (folder / "kernel.bin").write_bytes(b"")
        then = time.time() - 86400 * days
        os.utime(folder, (then, then))
        return folder

    def test_old_ones_are_forgotten(self, tmp_path):
        old = self.folder_of_age(tmp_path, "old", days=40)
        recent = self.folder_of_age(tmp_path, "recent", days=10)
        current = jit.kernel_folder()
        assert current.parent == tmp_path / "kernels"
        assert (old.exists(), recent.exists()) == (False, True)

    def test_what_is_not_ours_is_not_deleted_however_old(self, tmp_path):
        """Be it a folder of the user, or one of ours that a link leads to."""
        mine = self.folder_of_age(tmp_path, "linux-6.1", days=400, ours=False)
        (mine / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n# mine")
        os.utime(mine, (0, 0))
        elsewhere = self.folder_of_age(tmp_path / "elsewhere", "old", days=400)
        (tmp_path / "kernels/link").symlink_to(elsewhere)
        jit.kernel_folder()
        assert (mine / "kernel.bin").exists()
        assert (elsewhere / "kernel.bin").exists()

    def test_is_for_its_owner_alone(self, tmp_path):
        before = os.umask(0)
        try:
            current = jit.kernel_folder()
        finally:
            os.umask(before)
        for folder in (current, current.parent):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    @pytest.mark.parametrize("which", ["kernels", "version"])
    @pytest.mark.parametrize("wrong", ["others may write to it", "it is a link"])
    def test_is_not_used_where_others_may_write(self, which, wrong, tmp_path):
        current = jit.kernel_folder()
        jit.kernel_folder.cache_clear()
        folder = current if which == "version" else current.parent
        if wrong == "it is a link":
            folder.rename(tmp_path / "elsewhere")
            folder.symlink_to(tmp_path / "elsewhere")
        else:
            folder.chmod(0o770)
        with pytest.warns(RuntimeWarning, match=f"{folder} is not used, since {wrong}: .* Delete"):
            assert jit.kernel_folder() is None
        assert jit.kernel_folder() is None  # and is not said twice

    def test_is_not_used_where_another_user_owns_it(self, tmp_path, monkeypatch):
        jit.kernel_folder()
        jit.kernel_folder.cache_clear()
        monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
        monkeypatch.setattr(cache_folder, "_TRUSTED", set())
        with pytest.warns(RuntimeWarning, match="since it belongs to another user"):
            assert jit.kernel_folder() is None

    def test_the_current_one_is_not_forgotten(self):
        current = jit.kernel_folder()
        (current / "kernel.bin").write_bytes(b"")
        long_ago = time.time() - 86400 * 400
        os.utime(current, (long_ago, long_ago))
        jit.kernel_folder.cache_clear()
        assert jit.kernel_folder() == current
        assert (current / "kernel.bin").exists()
        assert current.stat().st_mtime > time.time() - 86400  # used today

    def test_one_that_cannot_be_written_to(self, tmp_path, monkeypatch):
        """Since its parent is a file: that stops the superuser, too."""
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("GRADSTEP_CACHE_DIR", str(tmp_path / "file/cache"))
        assert jit.kernel_folder() is None

    def test_one_that_another_process_forgets_at_the_same_time(self, tmp_path):
        """It is listed, but no longer there: like a link that leads nowhere."""
        (tmp_path / "kernels").mkdir()
        (tmp_path / "kernels/gone").symlink_to(tmp_path / "nowhere")
        assert jit.kernel_folder() is not None
