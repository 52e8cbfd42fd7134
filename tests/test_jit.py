"""The cache of compiled kernels: never stale, never broken, never in the way."""

from __future__ import annotations

import ast
import hashlib
import inspect
import os
import pickle
import pkgutil
import re
import shutil
import stat
import subprocess
import sys
import textwrap
import time
import warnings
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import NamedTuple

import numba
import numpy as np
import pytest

import gradstep
from gradstep import cache_folder, jit
from gradstep.cache_folder import mark
from gradstep.objective.regression import Huber
from tests.contracts.nouns import NOUNS, classes_of

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


def python(program, cache, path=None, **environment):
    """Start a Python with its own cache folder, and a package of ours on its path."""
    changes = {"GRADSTEP_CACHE_DIR": str(cache), **environment}
    if path is not None:
        changes["PYTHONPATH"] = str(path)
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, **changes},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


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
        assert [path.suffix for path in written] == [".bin"]  # nothing temporary is left
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
        assert len(kernels(cache)) == 2

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
        assert kernels(tmp_path) == {}


# --- within this process: each `compiled` is a new dispatcher, as in a new process ------------


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
    monkeypatch.setattr(jit, "_kernel_folder", lambda: tmp_path)
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
        monkeypatch.setattr(jit, "_kernel_folder", lambda: folder)
        assert call(Huber(5.0)) == (10.0, True)
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600
        assert not (folder / "harm").exists()

    def test_code_with_addresses_of_this_process_is_not_kept(self, folder):
        """As that of a large array of the module."""
        assert call(Huber(1.0), function=scaled_by_large) == (0.0, False)
        assert kernels(folder) == {}

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
        monkeypatch.setattr(jit, "_kernel_folder", lambda: None)
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
        "name, value", [("NUMBA_NUM_THREADS", 1), ("CACHE_DIR", "x"), ("COLOR_SCHEME", "light_bg")]
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
        program = """
import numpy as np
from gradstep import MiniBatchRegressor
X = np.random.default_rng(0).normal(size=(50, 1))
print(MiniBatchRegressor(alpha=0.0).fit(X, 2.0 * X[:, 0]).coef_[0], 0)
"""
        assert answer(python(program, tmp_path, NUMBA_OPT="0"))[0] == pytest.approx(2.0)


class TestFolder:
    @pytest.fixture(autouse=True)
    def own_cache(self, tmp_path, monkeypatch):
        monkeypatch.setenv("GRADSTEP_CACHE_DIR", str(tmp_path))
        jit._kernel_folder.cache_clear()
        yield
        jit._kernel_folder.cache_clear()

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
        current = jit._kernel_folder()
        assert current.parent == tmp_path / "kernels"
        assert (old.exists(), recent.exists()) == (False, True)

    def test_what_is_not_ours_is_not_deleted_however_old(self, tmp_path):
        """Be it a folder of the user, or one of ours that a link leads to."""
        mine = self.folder_of_age(tmp_path, "linux-6.1", days=400, ours=False)
        (mine / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n# mine")
        os.utime(mine, (0, 0))
        elsewhere = self.folder_of_age(tmp_path / "elsewhere", "old", days=400)
        (tmp_path / "kernels/link").symlink_to(elsewhere)
        jit._kernel_folder()
        assert (mine / "kernel.bin").exists()
        assert (elsewhere / "kernel.bin").exists()

    def test_is_for_its_owner_alone(self, tmp_path):
        before = os.umask(0)
        try:
            current = jit._kernel_folder()
        finally:
            os.umask(before)
        for folder in (current, current.parent):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    @pytest.mark.parametrize("which", ["kernels", "version"])
    @pytest.mark.parametrize("wrong", ["others may write to it", "it is a link"])
    def test_is_not_used_where_others_may_write(self, which, wrong, tmp_path):
        current = jit._kernel_folder()
        jit._kernel_folder.cache_clear()
        folder = current if which == "version" else current.parent
        if wrong == "it is a link":
            folder.rename(tmp_path / "elsewhere")
            folder.symlink_to(tmp_path / "elsewhere")
        else:
            folder.chmod(0o770)
        with pytest.warns(RuntimeWarning, match=f"{folder} is not used, since {wrong}: .* Delete"):
            assert jit._kernel_folder() is None
        assert jit._kernel_folder() is None  # and is not said twice

    def test_is_not_used_where_another_user_owns_it(self, tmp_path, monkeypatch):
        jit._kernel_folder()
        jit._kernel_folder.cache_clear()
        monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
        monkeypatch.setattr(cache_folder, "_TRUSTED", set())
        with pytest.warns(RuntimeWarning, match="since it belongs to another user"):
            assert jit._kernel_folder() is None

    def test_the_current_one_is_not_forgotten(self):
        current = jit._kernel_folder()
        (current / "kernel.bin").write_bytes(b"")
        long_ago = time.time() - 86400 * 400
        os.utime(current, (long_ago, long_ago))
        jit._kernel_folder.cache_clear()
        assert jit._kernel_folder() == current
        assert (current / "kernel.bin").exists()
        assert current.stat().st_mtime > time.time() - 86400  # used today

    def test_one_that_cannot_be_written_to(self, tmp_path, monkeypatch):
        """Since its parent is a file: that stops the superuser, too."""
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("GRADSTEP_CACHE_DIR", str(tmp_path / "file/cache"))
        assert jit._kernel_folder() is None

    def test_one_that_another_process_forgets_at_the_same_time(self, tmp_path):
        """It is listed, but no longer there: like a link that leads nowhere."""
        (tmp_path / "kernels").mkdir()
        (tmp_path / "kernels/gone").symlink_to(tmp_path / "nowhere")
        assert jit._kernel_folder() is not None


# --- the same code, uncompiled ----------------------------------------------------------------

FITS = """
import numpy as np, scipy.sparse as sp
from gradstep import MiniBatchClassifier, MiniBatchRegressor

rng = np.random.default_rng(0)
X = np.where(rng.random((60, 5)) < 0.6, rng.normal(size=(60, 5)), 0.0)
y = X[:, 0] - X[:, 1] + rng.normal(size=60)
classes = (X[:, :3] + rng.normal(size=(60, 3))).argmax(axis=1)
weight = rng.integers(0, 3, 60)
fixed = dict(max_iter=3, tol=None, learning_rate=0.1, alpha=0.01, batch_size=8)
models = [
    MiniBatchRegressor(**fixed).fit(X, y, sample_weight=weight),
    MiniBatchRegressor(**fixed, shuffle="blocks").fit(sp.csr_matrix(X), y),
    MiniBatchRegressor(**fixed, optimizer="nesterov", penalty="l1").fit(sp.csr_matrix(X), y),
    MiniBatchClassifier(**fixed).fit(X, classes),
    MiniBatchClassifier(**fixed).fit(X, classes == 1),
    MiniBatchRegressor(**fixed | {"batch_size": 256}).fit(np.tile(X, (9, 1)), np.tile(y, 9)),
]
for model in models:
    print(*np.append(model.coef_.ravel(), model.intercept_).tolist(), *model.loss_curve_)
"""


@pytest.mark.slow
def test_uncompiled_is_compiled():
    def numbers(**environment):
        done = subprocess.run(
            [sys.executable, "-c", FITS], env={**os.environ, **environment},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr
        return [[float(word) for word in line.split()] for line in done.stdout.splitlines()]

    compiled, uncompiled = numbers(), numbers(NUMBA_DISABLE_JIT="1")
    assert len(compiled) == 6
    for ours, theirs in zip(uncompiled, compiled, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13)


def modules_of(node):
    """Return the names of modules of ours that an import may mean."""
    if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gradstep"):
        return [{node.module, f"{node.module}.{each.name}"} for each in node.names]
    if isinstance(node, ast.Import):
        return [{each.name} for each in node.names if each.name.startswith("gradstep.")]
    return []


class TestSources:
    """What is compiled lies in folders named `kernels`, and in the key of the cache."""

    FILES = tuple(sorted(PACKAGE.rglob("*.py")))
    IN_KEY = frozenset(path for glob in jit._COMPILED_SOURCES for path in PACKAGE.glob(glob))
    COMPILING = frozenset(
        {"compiled", "inlined", "njit", "jit", "overload", "intrinsic", "register_jitable"}
    )
    # Called from Python only, before or after compiled code.
    AROUND = frozenset(
        f"gradstep.{name}"
        for name in (
            "cache_folder",
            "checks",
            "claims",
            "compiling",
            "diagnostics.of_machines",
            "errors",
            "files",
        )
    )

    def test_every_pattern_finds_files(self):
        assert all(any(PACKAGE.glob(pattern)) for pattern in jit._COMPILED_SOURCES)

    def test_whatever_compiles_lies_in_a_folder_of_kernels(self):
        compiling = {
            path.relative_to(PACKAGE).as_posix()
            for path in self.FILES
            for node in ast.walk(ast.parse(path.read_text()))
            if (isinstance(node, ast.Name) and node.id in self.COMPILING)
            or (isinstance(node, ast.Attribute) and node.attr in self.COMPILING)
        }
        assert len(compiling) > 8
        assert {path for path in compiling if "/kernels/" not in path} == {"jit.py"}

    @pytest.mark.parametrize("path", sorted(IN_KEY), ids=lambda path: path.stem)
    def test_what_is_in_the_key_takes_nothing_from_outside_of_it(self, path):
        """But for what runs in Python alone: else the change of a file would not be noticed."""
        inside = {
            ".".join(("gradstep", *source.relative_to(PACKAGE).with_suffix("").parts))
            for source in self.IN_KEY
        }
        inside |= {name.removesuffix(".__init__") for name in inside} | self.AROUND
        tree = ast.parse(path.read_text())
        for_types = {
            id(node)
            for block in ast.walk(tree)
            if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
            for node in ast.walk(block)
        }
        outside = [
            names
            for node in ast.walk(tree)
            if id(node) not in for_types
            for names in modules_of(node)
            if not names & inside
        ]
        assert outside == []

    @pytest.mark.parametrize("noun", ["loss", "penalty", "optimizer", "row layout"])
    def test_components_are_in_the_key(self, noun):
        for component in classes_of(NOUNS[noun]):
            assert Path(inspect.getfile(component)) in self.IN_KEY


class TestWhole:
    """A compiled function calls no other: whose copy ran would depend on what was loaded first."""

    KERNELS = tuple(
        import_module(module.name)
        for module in pkgutil.walk_packages(gradstep.__path__, "gradstep.")
        if ".kernels." in module.name
    )

    @pytest.mark.parametrize("module", KERNELS, ids=lambda module: module.__name__)
    def test_calls_only_what_is_inlined(self, module):
        """What compiled functions reach by name; plain public functions are called from Python."""
        own = {n: f for n, f in vars(module).items() if f.__class__.__module__ != "typing"}
        todo = [
            getattr(f, "py_func", f)
            for n, f in own.items()
            if hasattr(f, "py_func") or (n.startswith("_") and isinstance(f, FunctionType))
        ]
        reached = set()
        while todo:
            function = todo.pop()
            for name in function.__code__.co_names:
                found = function.__globals__.get(name)
                assert not hasattr(found, "py_func"), f"{function.__name__} calls {name}"
                if isinstance(found, FunctionType) and found not in reached:
                    reached.add(found)
                    todo.append(found)

    def test_overloads_are_inlined(self):
        text = "".join(path.read_text() for path in PACKAGE.rglob("kernels/*.py"))
        options = re.findall(r"overload\(\w[^\n]*jit_options=(\w+)\)", text)
        assert len(options) == len(re.findall(r"\boverload\(", text))
        assert set(options) == {"INLINED", "_EXACT"}

    @pytest.mark.slow
    def test_has_the_same_bits_when_it_comes_from_disk(self, tmp_path):
        """The case in which it had not: a function of its own stood within the one compiled."""
        program = """
            import numpy as np
            from gradstep import MiniBatchRegressor
            rng = np.random.default_rng(11)
            X = np.round(rng.normal(size=(600, 4)) * [1.0, 10.0, 0.1, 3.0], 6)
            y = np.abs(np.round(X @ [0.5, -0.04, 3.0, 0.1] + rng.normal(size=600), 3)) + 0.25
            print(MiniBatchRegressor("gamma").fit(X, y).coef_.tobytes().hex())
        """
        found = []
        for _ in range(2):
            out, err = python(textwrap.dedent(program), tmp_path).communicate(timeout=300)
            assert not err
            found.append(out)
        assert found[0] == found[1]
