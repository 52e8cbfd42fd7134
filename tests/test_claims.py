"""One process makes a file, and others wait for it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

from gradstep import claims
from gradstep.claims import Claims

HOLDS = """
import sys, time
from pathlib import Path
from gradstep.claims import Claims
held = Claims()
held.take(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_others_wait_until_it_is_given_back(tmp_path):
    path, one, other = tmp_path / "kernel.bin", Claims(), Claims()
    one.take(path)
    waiting = threading.Thread(target=other.take, args=(path,))
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    one.give_back(path)
    waiting.join(5.0)
    assert not waiting.is_alive()
    other.give_back_all()
    assert [*tmp_path.iterdir()] == []


def test_it_ends_with_the_process(tmp_path):
    path = tmp_path / "kernel.bin"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(path)], stdout=subprocess.PIPE
    ) as holder:  # fmt: skip
        assert holder.stdout.readline() == b"held\n"
        holder.kill()
    began = time.monotonic()
    Claims().take(path)
    assert time.monotonic() - began < 5.0


def test_nobody_waits_for_ever_or_where_nothing_can_be_locked(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "_PATIENCE", 0.05)
    path, one, other = tmp_path / "kernel.bin", Claims(), Claims()
    one.take(path)
    other.take(path)  # as from a process that was stopped
    other.give_back(path)
    one.give_back(path)
    Claims().take(tmp_path / "none" / "kernel.bin")
    monkeypatch.setattr(claims.fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError))
    one.take(path)
    one.give_back(path)
