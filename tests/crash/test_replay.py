"""Each state that the disk may have when the power fails: what has its name opens, runs go on."""

from __future__ import annotations

import pytest

from tests.crash.disk import Change, Disk, Recorder
from tests.crash.faults import digests, whole_run
from tests.crash.replay import State, look, recorded, states_of

GOING_ON = 40  # of so many states, one is gone on from; `make crash` goes on from each


def test_what_is_told_is_there_and_runs_go_on(tmp_path):
    recorder, table, expected = recorded(tmp_path)
    states = states_of(recorder)
    assert len(states) > 200
    opened = 0
    for n, state in enumerate(states):
        home = tmp_path / f"state-{n}"
        state.disk.write(home)
        opened += look(state, home, expected)["opened"]
        if n % GOING_ON == 0:
            whole_run(table, home)
            assert digests(home) == list(expected.values())
    assert opened > 100


def test_what_is_not_brought_to_the_disk_is_found(tmp_path):
    """A file that gets its name before its content is there."""
    home = tmp_path / "home"
    home.mkdir()
    recorder = Recorder(home)
    with recorder.recording():
        with (home / "part").open("wb") as file:
            file.write(b"whole")
        (home / "part").replace(home / "model")
        recorder.told("model")
        (home / "next").touch()
    contents = {
        tuple((path, state.disk.files[number]) for path, number in state.disk.paths())
        for state in states_of(recorder)
    }
    assert (("model", b""),) in contents
    assert (("model", b"wh"),) in contents
    assert (("part", b"whole"),) in contents
    assert () in contents
    told = State(Disk(), "x", ("model",))
    with pytest.raises(AssertionError, match="model, which was told, is not there"):
        look(told, home / "nothing", {"model": ""})


def test_changes_of_names_are_made_where_they_can_be():
    disk = Disk()
    Change(0, None, 0, "a", 1).apply(disk)
    Change(0, "a", 0, "b", 1).apply(disk)
    Change(0, "a", 0, "c", 1).apply(disk)  # it is no longer there
    assert dict(disk.paths()) == {"b": 1}
    Change(0, "b").apply(disk)
    assert not dict(disk.paths())
