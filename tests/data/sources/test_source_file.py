"""Files that tables are read from."""

from __future__ import annotations

import os

import pytest

from gradstep.data.sources.source_file import SourceFile


@pytest.mark.parametrize("known", [True, False])
def test_who_may_read_a_file_is_who_the_process_acts_as(tmp_path, monkeypatch, known):
    """As `open` has it; but for systems where that cannot be asked."""
    asked = []

    def access(path, mode, *, effective_ids=False):
        asked.append((path, mode, effective_ids))
        return effective_ids == known

    path = tmp_path / "t.csv"
    path.write_text("x\n1\n")
    monkeypatch.setattr(os, "access", access)
    monkeypatch.setattr(os, "supports_effective_ids", {access} if known else set())
    SourceFile.of(path)
    assert asked == [(path, os.R_OK, known)]
