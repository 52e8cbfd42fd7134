"""A few of the cases of `make fuzz`, and that it finds what it is to find."""

from __future__ import annotations

import pytest

from tests.fuzz import worker
from tests.fuzz.corpus import corpus
from tests.fuzz.worker import SHARES, case, try_case

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def files():
    return corpus()


@pytest.mark.parametrize("kind", SHARES)
def test_damage_is_an_error_of_ours(files, kind, tmp_path):
    seen = set()
    for number in range(8 + 2 * SHARES[kind]):
        _, damaged, _ = case(0, number, [kind], files)
        how, wrong = try_case(kind, damaged, tmp_path, whole=False)
        assert not wrong, f"python -m tests.fuzz --only {kind} --case {number}: {how}\n{wrong}"
        seen.add(how)
    assert "refused" in seen
    for whole in files[kind][:1]:
        assert try_case(kind, whole, tmp_path, whole=False) == ("read", "")


def test_a_case_is_a_function_of_its_number(files):
    assert case(3, 17, [], files) == case(3, 17, [], files)
    assert case(3, 17, [], files) != case(4, 17, [], files)


def test_other_errors_are_found(files, tmp_path, monkeypatch):
    def fails(_folder, *, whole):
        raise KeyError(whole)

    monkeypatch.setitem(worker.INPUTS, "csv", fails)
    how, wrong = try_case("csv", {"t.csv": b""}, tmp_path, whole=True)
    assert how == "untyped"
    assert "KeyError: True" in wrong
