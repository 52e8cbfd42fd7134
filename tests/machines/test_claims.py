"""What a run writes to a store is its own, and nothing else that lies there."""

from __future__ import annotations

import fsspec
import pytest

from gradstep import CannotWrite, prepare
from gradstep.data.preparing import in_store
from gradstep.data.preparing.remote import claim
from tests.machines.test_prepare import stored
from tests.machines.test_same_bits import table


@pytest.mark.parametrize("name", ["train_x.npy", "notes.txt", "more/rows.csv"])
def test_what_others_have_there_stays(store, name):
    system = fsspec.filesystem("memory")
    there = {f"/bucket/trips/{name}": b"of others", "/bucket/trips/.gradstep-01/a": b"left"}
    system.pipe(there)
    with pytest.raises(CannotWrite, match=rf"exists already, with {name.split('/')[0]} in it"):
        prepare(table("number"), "y", out=store)
    assert {str(path) for path in stored(store)} == {name, ".gradstep-01/a"}


def test_an_array_of_a_run_that_has_ended_is_not_written(tmp_path):
    work = tmp_path / ".gradstep-01"
    work.mkdir()
    (work / "rows-0").write_bytes(b"123")
    array = in_store._Array("train_y.npy", b"head", [("rows-0", 0, 3)])
    join = in_store._Join(f"file://{tmp_path}", f"file://{work}")
    with pytest.raises(CannotWrite, match="is no longer written to by this run"):
        join(None, array)
    assert list(tmp_path.iterdir()) == [work]
    claim(join.work, [array.name])
    assert join(None, array)["bytes"] == 7
    assert (tmp_path / array.name).read_bytes() == b"head123"
