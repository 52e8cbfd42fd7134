"""How the tests are run: which examples Hypothesis tries, what is compiled, what pages are tests.

**Examples.** Under the profile ``repeatable``, which is the usual one, Hypothesis tries the same
examples in every run and keeps none. ``--hypothesis-profile=random`` (`make test-random`) searches
further each time, and keeps what it finds in .hypothesis. Tests say by `tests.examples.examples`
how many they try.

**Compilation.** To compile a kernel for one more combination of layout, loss, penalty and optimizer
takes a second or more, so combinations that only repeat the arithmetic of others are marked
``uncompiled``: their kernels run as the plain Python that they are. ``--compile-all``
(`make test-compiled`) compiles them, too.

**Garbage.** Seven thousand tests and what they import are half a million objects that stay. Python
looks for garbage neither while they are collected nor later among them: a quarter of the time that
collecting takes.

**Pages.** The Python blocks of the Markdown pages are tests. They run from top to bottom in one
namespace, as a reader would type them. A block with `>>>` prompts is compared with the output that
it shows; one without is only run.
"""

from __future__ import annotations

import functools
import gc
import importlib
import os
import sys
from contextlib import contextmanager
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE
from pathlib import Path

import pytest
from hypothesis import settings
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

from tests.slow_tests import listed

# Pages that fit with so many losses and optimizers that their kernels are not compiled; and of
# components of a reader's own, which every process compiles anew (tests/contracts compiles some).
UNCOMPILED_PAGES = {"engine.md", "from_scikit_learn.md", "own_components.md"}
# Pages whose fits take long, or that have kernels compiled for no other test.
SLOW_PAGES = {"components.md", "own_components.md", "tables.md", "tutorial.md"}
# Files that take half a minute or more with their slow tests, by name, whatever their folder.
LONG_FILES = SLOW_PAGES | {
    "test_checkpoint.py", "test_commands.py", "test_golden_bits.py", "test_jit.py",
    "test_kernels.py", "test_lazy.py", "test_memory.py", "test_optimizers.py",
    "test_optimum.py", "test_prepare.py", "test_same_bits.py", "test_standardisation.py",
    "test_wheel_kernels.py",
}  # fmt: skip

os.environ["GRADSTEP_COMPILE_AHEAD"] = "0"  # no process that a test did not start

settings.register_profile(
    "repeatable", derandomize=True, database=None, deadline=None, max_examples=100
)
settings.register_profile("random", deadline=None, max_examples=500, print_blob=True)
settings.load_profile("repeatable")  # before Hypothesis reads --hypothesis-profile

pytest_collect_file = Sybil(
    parsers=[
        PythonCodeBlockParser(doctest_optionflags=ELLIPSIS | NORMALIZE_WHITESPACE),
        SkipParser(),
    ],
    patterns=["README.md", "docs/*.md", "docs/**/*.md"],
).pytest()


def pytest_addoption(parser):
    """Add the option that compiles everything."""
    parser.addoption(
        "--compile-all", action="store_true", help="compile for tests marked `uncompiled`, too"
    )


def pytest_collection_modifyitems(items):
    """Mark what is slow, by its name or its page, and pages whose kernels are not compiled."""
    slow = set(listed())
    for item in items:
        names = {item.nodeid, item.nodeid.partition("[")[0]}  # of a function all cases
        if names & slow:
            item.add_marker("listed")
        if names & slow or item.path.name in SLOW_PAGES:
            item.add_marker("slow")
        if item.path.name in UNCOMPILED_PAGES:
            item.add_marker("uncompiled")
    # The longest files first, so that no worker is left alone with one.
    items.sort(key=lambda item: item.path.name not in LONG_FILES)


@pytest.fixture(scope="session", autouse=True)
def _verbs_made_once():
    """Have Typer make its commands once in a process, as it does where the command line is run."""
    import typer.main  # where tests are run: collecting them needs none

    make = typer.main.get_command

    @functools.cache
    def made(app, _shells):
        return make(app)

    with pytest.MonkeyPatch.context() as patch:
        shells = "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"  # it has other options then
        patch.setattr(typer.main, "get_command", lambda app: made(app, os.environ.get(shells)))
        yield


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Collect without looking for garbage; what is there then is never looked at."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@functools.cache
def _kernels_imported():
    """Import whatever names kernels: what is first imported while they are plain keeps them so."""
    import gradstep

    home = Path(gradstep.__file__).parents[1]
    for path in home.glob("gradstep/**/*.py"):
        if "kernels" in path.parts or ".kernels" in path.read_text(encoding="utf-8"):
            importlib.import_module(".".join(path.relative_to(home).with_suffix("").parts))


@contextmanager
def without_compilation():
    """Put the plain functions in the place of compiled ones, wherever gradstep names them."""
    _kernels_imported()
    import numba  # where a test needs it: it takes a while to import
    import numpy as np
    from numba.core.registry import CPUDispatcher

    found = [
        (module, name, value)
        for path, module in sys.modules.items()
        if path.startswith("gradstep.")
        for name, value in vars(module).items()
        if type(value) is CPUDispatcher  # several times as quick as `isinstance`
    ]
    with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
        patch.setattr(numba.config, "DISABLE_JIT", 1)  # which is also: one thread
        for module, name, value in found:
            patch.setattr(module, name, value.py_func)
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Run a test that is marked so without compilation."""
    if item.get_closest_marker("uncompiled") is None or item.config.getoption("compile_all"):
        return (yield)
    with without_compilation():
        return (yield)
