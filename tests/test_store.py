"""Folders in an object store: what is said of them, and how they are read."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from gradstep import CannotWrite, InvalidTable
from gradstep.cli.predict import _named
from gradstep.data.preparing.prepared import open_part, open_prepared
from gradstep.data.preparing.remote import refuse_used
from gradstep.files import refuse_address
from gradstep.store import Store, remote_errors

ADDRESS = "memory://me:secret@bucket/t"


@pytest.fixture
def system():
    """Return the store that is this process's memory."""
    yield fsspec.filesystem("memory")
    fsspec.filesystem("memory").store.clear()


def _fail(called):
    with remote_errors(called, InvalidTable, "read"):
        raise FileNotFoundError


class TestNoMessageHasWhatOpensTheDoor:
    @pytest.mark.parametrize("call", [
        _fail,
        refuse_address,
        refuse_used,
        open_prepared,
        lambda address: open_part(address, "train", ""),
        lambda address: Store(address).refuse_used(),
    ])  # fmt: skip
    def test_in_errors(self, system, call):
        system.pipe_file("/me:secret@bucket/t/notes.txt", b"of others")
        with pytest.raises((CannotWrite, InvalidTable), match=r"\Amemory://bucket/t ") as found:
            call(ADDRESS)
        assert "secret" not in str(found.value)

    def test_in_what_is_printed(self):
        assert _named(Path(ADDRESS)) == "memory://bucket/t"
        assert _named(Path("out.csv")) == "out.csv"


def test_an_empty_object_may_stand_for_the_folder(system, monkeypatch):
    """As consoles make them: it is neither a file within, nor what others have there."""
    store = Store("memory://bucket/t")
    folder = {"name": "/bucket/t/", "size": 0, "type": "file"}
    monkeypatch.setattr(system, "ls", lambda *_, **__: [folder], raising=False)
    assert store.sizes() == {}
    store.refuse_used()


def test_blocks_are_a_range_of_a_file(system):
    system.pipe_file("/bucket/t/a", bytes(range(10)))
    folder, file = Store("memory://bucket/t"), Store("memory://bucket/t/a")
    expected = [(2, b"\2\3\4"), (5, b"\5\6\7"), (8, b"\x08")]
    assert list(folder.blocks("a", 2, 9, 3)) == list(file.blocks("", 2, 9, 3)) == expected
    for store, name in ((folder, "a"), (file, "")):
        with pytest.raises(InvalidTable, match="memory://bucket/t/a has become shorter"):
            list(store.blocks(name, 2, 11, 3))
