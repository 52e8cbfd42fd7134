"""A file operation that fails ends a run with one message, or not at all; then it goes on."""

from __future__ import annotations

import errno

import pytest

from tests.crash.faults import Faults, reference, run_with_fault

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default::gradstep.CheckpointWarning"),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return reference(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.55, 0.62, 0.7, 0.87, 0.97])
def test_at_an_operation(whole, share, lasting):
    """All are tried by `make crash`."""
    table, expected, names = whole
    at = round(share * len(names))
    run_with_fault(Faults(at, errno.ENOSPC, lasting=lasting), table, expected)
