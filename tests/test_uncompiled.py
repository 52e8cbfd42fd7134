"""The mark `uncompiled` does what it says, and leaves nothing behind."""

from __future__ import annotations

import numba
import pytest

from gradstep.engine import row_tasks
from gradstep.engine.kernels import batches, tiles
from gradstep.engine.kernels.pieces import threads
from tests.uncompiled import uncompiled


def compiled():
    """Tell of a kernel where it is defined, where it is called from, and where others call it."""
    return {
        hasattr(function, "py_func")
        for function in (tiles.score_rows, row_tasks.score_rows, batches.run_batches)
    }


@uncompiled
@pytest.mark.parametrize("again", [False, True])
def test_marked_tests_run_plain_python(request, again):
    if request.config.getoption("compile_all"):
        pytest.skip("all is compiled")
    assert compiled() == {False}
    assert threads() == 1


def test_others_run_compiled_code():
    assert compiled() == {not numba.config.DISABLE_JIT}
