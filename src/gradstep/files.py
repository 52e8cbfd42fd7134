"""Files and folders that are whole or not there, whenever the process ends.

What is written has a name of ours beside its own until it is complete and on the disk, then it is
renamed. The name is random and new (`O_EXCL`, so no link that somebody planted is followed), and
a lock is held on it, which the system lets go when the process ends, however it does. So a name of
ours that nobody holds was left by a run that was killed, and the next one that writes there
removes it. (`O_TMPFILE` would leave nothing, but such a file cannot take the place of another.)
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from gradstep.errors import CannotWrite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "address_of",
    "is_stream",
    "lasting_folder",
    "refuse_address",
    "refuse_existing",
    "refuse_unwritable",
    "sweep",
    "sync",
    "temporary_folder",
    "unfinished",
    "without_secrets",
    "writing_file",
    "writing_folder",
]

_HOST = f"{zlib.crc32(os.uname().nodename.encode()):08x}"
_OURS = re.compile(r"\.gradstep-([0-9a-f]{8})-[0-9a-f]{16}\.part")
# Seconds after which what nobody holds is left over: a run takes its lock within the first. Some
# shared disks keep locks within a machine, so what another one wrote is given a day.
_GRACE, _GRACE_OF_OTHERS = 1.0, 86_400.0
_LINKS = 40  # as many as Linux follows
# How often a folder is removed that does not go, and the seconds between.
_REMOVALS, _PAUSE = 10, 0.05

# --------------------------------------------------------------------------- writing


@contextmanager
def writing_file(path: str | Path, *, private: bool = False) -> Iterator[BinaryIO]:
    """Give a file to write to; it takes the place of `path` at the end, or disappears on an error.

    A link is followed, and stays. A file that is there passes on its mode, its group, and its
    owner if that may be; a new one has what the umask allows. What is no file (`is_stream`) is
    written to as it stands.

    Parameters
    ----------
    path : str or path
        The file.
    private : bool
        Whether it is one of a cache: for its owner alone, nothing taken over from what is there,
        and not waited for until it is on the disk, since what is lost is made again.

    Raises
    ------
    CannotWrite
        If it cannot be written; what was there still is.
    """
    refuse_address(path)
    path = Path(path)
    with _failing_as(path):
        target = path if private else _followed(path)
        if private:
            target.parent.mkdir(parents=True, exist_ok=True)
        else:
            lasting_folder(target.parent)
        if not private and is_stream(target):
            with os.fdopen(_open_stream(target), "wb") as stream:
                yield stream
            return
        before = None if private or not target.exists() else _replaceable(target)
        mode = 0o600 if private or before is not None else 0o666

        def new_file(name: Path) -> int:
            return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)

        part, handle = _new_part(target.parent, new_file)
        try:
            with os.fdopen(handle, "wb") as file:
                if before is not None:
                    _take_after(handle, before)
                yield file
                file.flush()
                if not private:
                    os.fsync(handle)
                part.replace(target)  # while it is held
            if not private:
                sync(target.parent)
        finally:
            with suppress(OSError):
                part.unlink()


@contextmanager
def writing_folder(folder: Path) -> Iterator[Path]:
    """Give a folder to write to; it gets its name at the end, or disappears on an error.

    Raises
    ------
    CannotWrite
        If something has its name already, or it cannot be written; nothing is left behind.
    """
    refuse_existing(folder)
    with _failing_as(folder):
        lasting_folder(folder.parent)
        with temporary_folder(folder.parent) as part:
            yield part
            sync(part)
            part.replace(folder)
            sync(folder.parent)


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Give a folder that is removed at the end, or by the next one if this process is killed."""

    def new_folder(name: Path) -> int:
        name.mkdir()
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)

    part, handle = _new_part(parent, new_folder)
    try:
        yield part
    finally:
        _remove_whole(part)  # nothing, once it has another name
        os.close(handle)


def _remove_whole(folder: Path) -> None:
    """Remove a folder that others may still be writing to: those who have not heard of its end."""
    for _ in range(_REMOVALS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(_PAUSE)


def lasting_folder(folder: Path) -> None:
    """Make a folder, and those above it, so that their names are on the disk.

    A temporary folder of ours is not made again: whoever made it has ended, and removed it.
    """
    if not folder.is_dir():
        if _OURS.fullmatch(folder.name):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if folder.parent != folder:  # as of a working folder that is gone
            lasting_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        with suppress(PermissionError):  # a folder that may be written to, and not be read
            sync(folder.parent)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _failing_as(path: Path) -> Iterator[None]:
    """Tell what goes wrong as an error of ours that names the file or folder."""
    try:
        yield
    except OSError as error:
        if isinstance(error, CannotWrite):
            raise
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        what = "Free some space, or choose another place." if full else "Choose another place."
        msg = f"{path} cannot be written: {error.strerror or error}. {what}"
        raise CannotWrite(msg) from error


# --------------------------------------------------------------------------- what is in the way


def refuse_address(path: str | Path) -> None:
    """Refuse an address in an object store, of which a path would make folders of that name here.

    Examples
    --------
    >>> refuse_address("s3://bucket/trips")
    Traceback (most recent call last):
        ...
    gradstep.errors.CannotWrite: s3://bucket/trips is an address, and a path is needed: caches, ...
    """
    address = address_of(path)
    if address is None:
        return
    msg = (
        f"{without_secrets(address)} is an address, and a path is needed: caches, checkpoints and "
        "what comes out are files that are mapped into memory, or renamed. "
        "Mount the bucket, or give a folder, which all workers of a cluster share."
    )
    raise CannotWrite(msg)


def address_of(path: str | Path) -> str | None:
    """Return the address in an object store that is meant, also by a path of it; None if none is.

    Examples
    --------
    >>> address_of(Path("s3://bucket/trips")), address_of("trips")
    ('s3://bucket/trips', None)
    """
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):/+", str(path))
    if scheme is None:
        return None
    apart = ":///" if scheme[1].lower() == "file" else "://"  # whose paths begin with a slash
    return f"{scheme[1]}{apart}{str(path)[scheme.end() :]}"


def without_secrets(source: str) -> str:
    """Return what a source is called where others read it: of a URL, not who may read it there.

    Examples
    --------
    >>> without_secrets("https://me:password@example.org/trips.csv?token=abc")
    'https://example.org/trips.csv?…'
    >>> without_secrets("trips.csv")
    'trips.csv'
    """
    if "::" in source and "://" in source:  # an archive, or a cache, and what it is in
        return "::".join(map(without_secrets, source.split("::")))
    scheme, apart, rest = source.partition("://")
    if not apart:
        return source
    host, slash, path = rest.partition("/")
    path, query, _ = path.partition("?")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}{'?…' if query else ''}"


def refuse_existing(folder: Path) -> None:
    """Refuse to write where something is."""
    refuse_address(folder)
    if os.path.lexists(folder):
        msg = f"{folder} exists already. Choose another folder, or delete it first."
        raise CannotWrite(msg)


def refuse_unwritable(path: Path) -> None:
    """Refuse a file that cannot be written, before the work whose result goes there."""
    refuse_address(path)
    with _failing_as(path):
        target = _followed(path)
        if is_stream(target):
            if not os.access(target, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return
        if target.exists():
            _replaceable(target)
        lasting_folder(target.parent)
        with tempfile.TemporaryFile(dir=target.parent):
            pass


def is_stream(path: Path) -> bool:
    """Tell whether a path is a device, a pipe, or a file that is open, as /dev/stdout is.

    Such a thing cannot be replaced by a file: it is written to.
    """
    with suppress(OSError):
        target = _followed(path)
        kind = target.stat().st_mode
        return target.is_symlink() or not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))
    return False


def _followed(path: Path) -> Path:
    """Return where links lead; those of the system to open files are not followed."""
    for _ in range(_LINKS):
        if not path.is_symlink() or path.parent.resolve().is_relative_to("/proc"):
            return path
        path = path.parent / path.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _open_stream(path: Path) -> int:
    """Open what is no file; a file that this process has open is shared, its position too."""
    if path.name.isdigit() and path.parent.resolve() == Path("/proc/self/fd").resolve():
        return os.dup(int(path.name))
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY)


def _replaceable(target: Path) -> os.stat_result:
    """Return what is known of a file; one that is protected against writing is not replaced."""
    found = target.stat()
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return found


def _take_after(handle: int, before: os.stat_result) -> None:
    """Give a file the mode, group and owner of the one that it is to replace."""
    mode = stat.S_IMODE(before.st_mode) & 0o777
    now = os.fstat(handle)
    if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
        try:
            os.fchown(handle, before.st_uid, before.st_gid)
        except OSError:  # the group at least, or else nothing that was meant for it
            try:
                os.fchown(handle, -1, before.st_gid)
            except OSError:
                mode &= ~0o070
    os.fchmod(handle, mode)


# --------------------------------------------------------------------------- names of our own


def _new_part(parent: Path, make: Callable[[Path], int]) -> tuple[Path, int]:
    """Make a file or folder under a name of ours; it is held as long as the handle is open."""
    sweep(parent)
    path = parent / f".gradstep-{_HOST}-{secrets.token_hex(8)}.part"
    handle = make(path)
    with suppress(OSError):  # a disk without locks: then it looks held to all
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return path, handle


def unfinished(folder: Path) -> list[Path]:
    """Return the files and folders in a folder that are being written, or were left over."""
    try:
        return sorted(path for path in folder.iterdir() if _OURS.fullmatch(path.name))
    except OSError:
        return []


def sweep(folder: Path) -> None:
    """Remove what runs of this user that were killed have left in a folder."""
    for path in unfinished(folder):
        with suppress(OSError):  # as when another process is faster
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                _remove_if_left(path, handle)
            finally:
                os.close(handle)


def _remove_if_left(path: Path, handle: int) -> None:
    """Remove a file or folder of ours if nobody holds it; an error if somebody does."""
    found = os.fstat(handle)
    grace = _GRACE if f"-{_HOST}-" in path.name else _GRACE_OF_OTHERS
    if found.st_uid != os.geteuid() or time.time() - found.st_mtime < grace:
        return
    fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    if stat.S_ISDIR(found.st_mode):
        shutil.rmtree(path, ignore_errors=True)
    elif stat.S_ISREG(found.st_mode):
        path.unlink()
