"""While a cluster computes, a terminal shows rounds, shards and workers."""

from __future__ import annotations

import io
import sys

from gradstep.cli import progress


class Recorder:
    """A bar that keeps what it shows."""

    def __init__(self, _stream):
        self.shown = []

    def show(self, *what, since=None):
        self.shown.append(what)

    def close(self):
        self.shown.append("closed")


def test_rounds_shards_and_workers_are_shown(monkeypatch):
    stream = io.StringIO()
    stream.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "_QUIET_SECONDS", -1.0)
    monkeypatch.setattr(progress, "Bar", Recorder)
    with progress.Progress() as shown:
        show = shown.rounds(lambda: 3)
        for done in (2, 8, 8):
            show(done, 8)
        shown.parts(1, 4)
        recorder = shown._bar
    assert recorder.shown == [
        ("round 1", "2 of 8 shards, 3 workers", 0, None),
        ("round 1", "8 of 8 shards, 3 workers", 0, None),
        ("round 2", "8 of 8 shards, 3 workers", 0, None),
        ("part 1", "", 1, 4),
        "closed",
    ]


def test_nobody_is_asked_without_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())

    def asked():
        raise AssertionError

    with progress.Progress() as shown:
        shown.rounds(asked)(1, 8)
