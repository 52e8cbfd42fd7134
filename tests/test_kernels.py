"""What is compiled: where it lies, that it is whole, and what it is uncompiled."""

from __future__ import annotations

import ast
import inspect
import os
import pkgutil
import re
import subprocess
import sys
import textwrap
from importlib import import_module
from pathlib import Path
from types import FunctionType

import numpy as np
import pytest

import gradstep
from gradstep import jit
from tests.contracts.nouns import NOUNS, classes_of
from tests.processes import python

PACKAGE = Path(gradstep.__file__).parent

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
            "wheel_kernels",
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

    @pytest.mark.parametrize("module", KERNELS, ids=lambda module: module.__name__)
    def test_python_calls_nothing_that_is_to_be_inlined(self, module):
        """It would run uncompiled, and be right: an epoch's order once took 20 times as long."""
        tree = ast.parse(inspect.getsource(module))
        functions = [f for f in ast.walk(tree) if isinstance(f, ast.FunctionDef)]
        by_decorator = {f: " ".join(map(ast.unparse, f.decorator_list)) for f in functions}
        inlined = {f.name for f in functions if "inlined" in by_decorator[f]}
        chosen = {
            name.id
            for f in functions
            if "overload" in by_decorator[f]
            for name in ast.walk(f)
            if isinstance(name, ast.Name)
        }
        calls = [c for c in ast.walk(tree) if isinstance(c, ast.Call)]
        made = {c.args[0].id for c in calls if ast.unparse(c.func) == "address_of"}
        within = {g for f in functions if f.name in made for g in ast.walk(f)}
        for f in functions:
            if re.search("compiled|inlined|overload", by_decorator[f]) or f.name in chosen:
                continue
            if f in within:  # compiled, and called by address
                continue
            called = {c.func.id for c in ast.walk(f) if isinstance(c, ast.Call)
                      and isinstance(c.func, ast.Name)}  # fmt: skip
            assert not called & inlined, f.name

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
