"""Writing: whole or not there, with the right mode, through links but not through planted ones."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest

from gradstep import CannotWrite
from gradstep.files import (
    is_stream,
    refuse_unwritable,
    sweep,
    temporary_folder,
    unfinished,
    writing_file,
    writing_folder,
)

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="a file can be given away by root alone")


def write(path, content=b"new", **options):
    with writing_file(path, **options) as file:
        file.write(content)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def umask():
    """Return a function that sets the umask until the end of the test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


class TestModes:
    @pytest.mark.parametrize("mask", [0o077, 0o022, 0o002])
    def test_of_what_is_new_are_those_of_the_umask(self, mask, tmp_path, umask):
        umask(mask)
        write(tmp_path / "file")
        with writing_folder(tmp_path / "folder") as part:
            assert mode(part) == 0o777 & ~mask  # from the start
        assert (mode(tmp_path / "file"), mode(tmp_path / "folder")) == (
            0o666 & ~mask,
            0o777 & ~mask,
        )

    @pytest.mark.parametrize("kept", [0o600, 0o640, 0o664, 0o777])
    def test_of_what_is_there_are_kept(self, kept, tmp_path):
        path = tmp_path / "file"
        path.write_bytes(b"old")
        path.chmod(kept)
        with writing_file(path) as file:
            (part,) = unfinished(tmp_path)
            assert mode(part) == kept  # nobody else reads it meanwhile
            file.write(b"new")
        assert (path.read_bytes(), mode(path)) == (b"new", kept)

    def test_of_a_cache_are_for_its_owner(self, tmp_path, umask):
        umask(0)
        path = tmp_path / "file"
        path.write_bytes(b"old")
        write(path, private=True)
        assert (path.read_bytes(), mode(path)) == (b"new", 0o600)

    @root_only
    def test_and_owners_are_kept(self, tmp_path):
        path = tmp_path / "file"
        path.write_bytes(b"old")
        os.chown(path, 12345, 54321)
        write(path)
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)

    def test_a_group_that_cannot_be_given_loses_nothing_to_another(self, tmp_path, monkeypatch):
        path = tmp_path / "file"
        path.write_bytes(b"old")
        path.chmod(0o640)
        real, owned = os.fstat, path.stat()

        def of_another_group(handle):
            found = list(real(handle))
            found[5] = owned.st_gid + 1
            return os.stat_result(found)

        def refused(*_):
            raise PermissionError

        monkeypatch.setattr(os, "fstat", of_another_group)
        monkeypatch.setattr(os, "fchown", refused)
        write(path)
        monkeypatch.undo()
        assert mode(path) == 0o600

    def test_a_protected_file_is_not_replaced(self, tmp_path, monkeypatch):
        path = tmp_path / "file"
        path.write_bytes(b"old")
        monkeypatch.setattr(os, "access", lambda *_: False)  # which root always has
        for attempt in (refuse_unwritable, write):
            with pytest.raises(CannotWrite, match="file cannot be written: Permission denied"):
                attempt(path)
        assert path.read_bytes() == b"old"


class TestLinks:
    @pytest.mark.parametrize("there", [True, False])
    def test_are_followed_and_stay(self, there, tmp_path):
        target, link, further = tmp_path / "a/target", tmp_path / "link", tmp_path / "further"
        target.parent.mkdir()
        if there:
            target.write_bytes(b"old")
        link.symlink_to("a/target")
        further.symlink_to(link)
        refuse_unwritable(further)
        with writing_file(further) as file:
            file.write(b"new")
            assert len(unfinished(target.parent)) == 1  # beside the target: it may be another disk
        assert target.read_bytes() == b"new"
        assert (link.readlink(), further.readlink()) == (Path("a/target"), link)

    def test_in_a_circle(self, tmp_path):
        (tmp_path / "a").symlink_to("b")
        (tmp_path / "b").symlink_to("a")
        for attempt in (refuse_unwritable, write):
            with pytest.raises(CannotWrite, match="a cannot be written: Too many levels"):
                attempt(tmp_path / "a")

    def test_of_a_cache_are_replaced(self, tmp_path):
        (tmp_path / "victim").write_bytes(b"old")
        (tmp_path / "link").symlink_to("victim")
        write(tmp_path / "link", private=True)
        assert (tmp_path / "victim").read_bytes() == b"old"
        assert not (tmp_path / "link").is_symlink()

    def test_that_were_planted_are_not_followed(self, tmp_path, monkeypatch):
        """Not even by somebody who knows the name."""
        (tmp_path / "victim").write_bytes(b"old")
        write(tmp_path / "file", b"old")
        monkeypatch.setattr(secrets, "token_hex", lambda n: "0" * 2 * n)
        with writing_file(tmp_path / "other"):
            (known,) = unfinished(tmp_path)
        known.symlink_to("victim")
        with pytest.raises(CannotWrite, match="File exists"):
            write(tmp_path / "file")
        assert (tmp_path / "victim").read_bytes() == (tmp_path / "file").read_bytes() == b"old"

    def test_refuse_a_folder_even_if_they_lead_nowhere(self, tmp_path):
        (tmp_path / "link").symlink_to("nowhere")
        with pytest.raises(CannotWrite, match="exists already"), writing_folder(tmp_path / "link"):
            pass


class TestStreams:
    def test_are_written_to(self, tmp_path):
        pipe, read = tmp_path / "pipe", []
        os.mkfifo(pipe)
        reader = Thread(target=lambda: read.append(pipe.read_bytes()))
        reader.start()
        refuse_unwritable(pipe)
        write(pipe)
        reader.join()
        assert read == [b"new"]
        assert pipe.is_fifo()
        assert names(tmp_path) == ["pipe"]

    @root_only
    def test_that_are_devices(self, tmp_path):
        """One of our own: what fails here, as root, would take the machine's /dev/null away."""
        device = tmp_path / "null"
        os.mknod(device, 0o600 | stat.S_IFCHR, Path(os.devnull).stat().st_rdev)
        (tmp_path / "link").symlink_to(device)
        refuse_unwritable(tmp_path / "link")
        try:
            write(tmp_path / "link")
        except CannotWrite:
            pytest.skip("devices cannot be opened here")
        assert device.is_char_device()
        assert names(tmp_path) == ["link", "null"]

    def test_of_the_system_can_be_written(self):
        for name in (os.devnull, "/dev/stdout"):
            assert is_stream(Path(name))
            refuse_unwritable(Path(name))

    @pytest.mark.parametrize("redirect", [">", ">>", "| cat >>"])
    def test_of_the_shell(self, redirect, tmp_path):
        """What is there already stays, and what comes later follows."""
        (tmp_path / "out").write_text("zero\n")
        (tmp_path / "stdout").symlink_to("/proc/self/fd/1")  # as /dev/stdout is
        program = (
            "from gradstep.files import writing_file\n"
            "with writing_file('stdout') as file: file.write(b'new\\n')"
        )
        command = f'(echo one; "{sys.executable}" -c "$0"; echo two) {redirect} out'
        subprocess.run(["sh", "-c", command, program], cwd=tmp_path, check=True)
        lines = (tmp_path / "out").read_text().split()
        assert lines == [*(["zero"] if ">>" in redirect else []), "one", "new", "two"]
        assert names(tmp_path) == ["out", "stdout"]

    def test_are_neither_files_nor_folders(self, tmp_path):
        write(tmp_path / "file")
        assert not any(map(is_stream, (tmp_path, tmp_path / "file", tmp_path / "none")))


class TestFailures:
    def test_in_a_working_folder_that_is_gone(self, tmp_path, monkeypatch):
        (tmp_path / "gone").mkdir()
        monkeypatch.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()
        with pytest.raises(CannotWrite, match="No such file"), writing_file("new/file"):
            pass

    @pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
    def test_leave_what_was_there(self, error, tmp_path):
        path = tmp_path / "file"
        write(path, b"old")
        told = CannotWrite if isinstance(error, OSError) else KeyboardInterrupt

        def fail(writing, name):
            with writing(tmp_path / name) as part:
                (part / "rows").write_bytes(b"new") if name == "folder" else part.write(b"new")
                raise error

        for writing, name in ((writing_file, "file"), (writing_folder, "folder")):
            with pytest.raises(told):
                fail(writing, name)
        assert path.read_bytes() == b"old"
        assert names(tmp_path) == ["file"]


KILLED = """
import os
from pathlib import Path
from gradstep.files import temporary_folder, writing_file, writing_folder
with writing_file("file") as file, writing_folder(Path("folder")) as one, temporary_folder(Path()):
    (one / "rows.npy").write_text("rows")
    os._exit(9)
"""


def aged(path, seconds=2.0):
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


class TestLeftovers:
    @pytest.fixture
    def left(self, tmp_path):
        """What a process leaves that is killed while it writes."""
        killed = subprocess.run([sys.executable, "-c", KILLED], cwd=tmp_path, check=False)
        assert killed.returncode == 9
        return [aged(path) for path in unfinished(tmp_path)]

    @pytest.mark.parametrize("next_one", [writing_file, writing_folder])
    def test_are_removed_by_the_next_run(self, next_one, left, tmp_path):
        assert len(left) == len(names(tmp_path)) == 3
        with next_one(tmp_path / "new"):
            pass
        assert names(tmp_path) == ["new"]

    def test_are_not_those_of_a_run_that_goes_on(self, tmp_path):
        with writing_file(tmp_path / "file") as file, writing_folder(tmp_path / "folder") as part:
            for path in unfinished(tmp_path):
                aged(path)
            write(tmp_path / "other")
            sweep(tmp_path)
            file.write(b"new")
            (part / "file").write_bytes(b"new")
        assert names(tmp_path) == ["file", "folder", "other"]
        assert (tmp_path / "file").read_bytes() == b"new"
        assert names(tmp_path / "folder") == ["file"]

    def test_are_not_those_that_were_just_made(self, left, tmp_path):
        """And have no lock yet."""
        now = time.time()
        os.utime(left[0], (now, now))
        sweep(tmp_path)
        assert unfinished(tmp_path) == left[:1]

    @pytest.mark.parametrize("days, stays", [(0.5, True), (1.5, False)])
    def test_of_another_machine_are_given_a_day(self, days, stays, left, tmp_path):
        there = left[0].with_name(".gradstep-00000000-0123456789abcdef.part")
        left[0].rename(there)
        aged(there, 86400 * days)
        sweep(tmp_path)
        assert there.exists() == stays

    def test_are_not_what_others_named(self, left, tmp_path):
        mine = ["film.part", ".gradstep-mine.part", ".x.csv.1.part", left[0].name + "s"]
        for name in mine:
            (tmp_path / name).mkdir()
            aged(tmp_path / name, 1e6)
        (tmp_path / "mine").write_text("mine")
        for path in left:
            path.rename(tmp_path / "elsewhere")
            path.symlink_to("mine")
            aged(path)
            (tmp_path / "elsewhere").rename(tmp_path / f"moved {path.name}")
        sweep(tmp_path)
        assert set(mine) | {"mine"} | {path.name for path in left} <= {*names(tmp_path)}
        assert (tmp_path / "mine").read_text() == "mine"

    @root_only
    def test_are_not_those_of_another_user(self, left, tmp_path):
        os.chown(left[0], 12345, -1)
        sweep(tmp_path)
        assert unfinished(tmp_path) == left[:1]

    def test_links_in_them_are_not_followed(self, tmp_path):
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine/file").write_text("mine")
        with temporary_folder(tmp_path) as part:
            (part / "link").symlink_to(tmp_path / "mine")
        assert names(tmp_path) == ["mine"]
        assert names(tmp_path / "mine") == ["file"]

    def test_that_another_still_writes_to_are_removed(self, tmp_path, monkeypatch):
        """As a task of another machine does that has not heard of the end."""
        remove, late = shutil.rmtree, iter(["rows", "more"])

        def meanwhile(folder, **how):
            remove(folder, **how)
            with suppress(StopIteration):  # written after the names were read: it stays
                name = next(late)
                folder.mkdir()
                (folder / name).write_text(name)

        monkeypatch.setattr(shutil, "rmtree", meanwhile)
        with temporary_folder(tmp_path) as part:
            (part / "first").write_text("rows")
        assert list(tmp_path.iterdir()) == []
