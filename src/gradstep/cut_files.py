"""Files that become shorter while they are mapped: an error, where the system ends the process.

Prepared rows are mapped into memory, and so are tables while Polars reads them. If another process
truncates such a file, a page has nothing behind it, and whoever reads it is sent SIGBUS. Here
zeros take the place of what is gone, so that a kernel comes to its end; its result is thrown away
by the error that follows, in the training loop before anything is written, and wherever
`refusing_cut_files` ends. Elsewhere in the process the signal does what it did before.

The handler is Python. That is safe for this signal, which a thread is sent in the midst of reading
rows: it holds no lock then but, perhaps, Python's own, of which `ctypes` knows.
"""

from __future__ import annotations

import ctypes
import mmap
import signal
import sys
from contextlib import ContextDecorator
from pathlib import Path
from threading import Lock

from gradstep.errors import InvalidTable

__all__ = ["refuse_cut_files", "refusing_cut_files"]

_WITH_ADDRESS = 4  # SA_SIGINFO
_ADDRESS_AT = 16  # bytes into what the handler is told of the signal
_IN_PLACE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x10  # MAP_FIXED
_NONE = ctypes.c_void_p(-1).value  # MAP_FAILED


class _Action(ctypes.Structure):
    """What the system does at a signal."""

    _fields_ = (
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_ulong * 16),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    )


class _Watch:
    """Who reads mapped files now, and which were found to be cut."""

    def __init__(self) -> None:
        self.readers = 0
        self.cut: list[str] = []
        self.zeros: list[tuple[int, int]] = []  # the addresses at which they were put
        self.lock = Lock()  # of the readers
        self.mending = Lock()  # held by handlers alone


_WATCH = _Watch()


class refusing_cut_files(ContextDecorator):  # noqa: N801  (used as a function is)
    """Make an error of a file that is cut while it is read here.

    Raises
    ------
    InvalidTable
        With the name of the file.
    """

    def __enter__(self) -> None:
        if sys.platform != "linux":
            return
        with _WATCH.lock:
            _WATCH.readers += 1
            if _WATCH.readers == 1:
                _WATCH.cut.clear()
                _WATCH.zeros.clear()
                _LIBC.sigaction(signal.SIGBUS, _OURS, _BEFORE)

    def __exit__(self, *_error: object) -> None:
        if sys.platform != "linux":
            return
        with _WATCH.lock:
            _WATCH.readers -= 1
            if _WATCH.readers == 0:
                _LIBC.sigaction(signal.SIGBUS, _BEFORE, None)
        refuse_cut_files()  # whatever came of them, another error too


def refuse_cut_files() -> None:
    """Raise an error if a file was cut while it was read.

    Raises
    ------
    InvalidTable
        With the name of the file.
    """
    if _WATCH.cut:
        msg = (
            f"{_WATCH.cut[0]} was cut short while it was read. If it is of a prepared table, "
            "delete that and prepare it again; else start again once nothing writes to it."
        )
        raise InvalidTable(msg)


def _handle(_number: int, told: int, _context: int) -> None:
    """Put zeros in the place of what is gone; if that cannot be, let the signal do what it did."""
    try:
        address = ctypes.c_size_t.from_address(told + _ADDRESS_AT).value
        with _WATCH.mending:
            _put_zeros(address)
    except BaseException:  # noqa: BLE001  (lost here, and the signal would come again)
        _LIBC.sigaction(signal.SIGBUS, _BEFORE, None)
        signal.raise_signal(signal.SIGBUS)  # comes when this returns


def _put_zeros(address: int) -> None:
    """Map zeros from the page of an address to the end of the file's mapping."""
    found = _mapping_at(address)
    if found is None:
        # Several threads are sent the signal at once: the first has mended it for all.
        if any(begin <= address < end for begin, end in _WATCH.zeros):
            return
        raise LookupError
    begin, end, name = found
    begin = max(begin, address & -mmap.PAGESIZE)
    there = _LIBC.mmap(begin, end - begin, mmap.PROT_READ | mmap.PROT_WRITE, _IN_PLACE, -1, 0)
    if there in {None, _NONE}:
        raise OSError
    _WATCH.zeros.append((begin, end))
    _WATCH.cut.append(name)


def _mapping_at(address: int) -> tuple[int, int, str] | None:
    """Return where the mapping of a file around an address begins and ends, and its name.

    None if no file is mapped there.
    """
    for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").split("\n"):
        span, *_, inode, name = (line.split(maxsplit=5) + 6 * ["0"])[:6]
        begin, _, end = span.partition("-")
        if inode != "0" and int(begin, 16) <= address < int(end, 16):
            return int(begin, 16), int(end, 16), name
    return None


if sys.platform == "linux":
    _LIBC = ctypes.CDLL(None, use_errno=True)
    _LIBC.mmap.restype = ctypes.c_void_p
    _LIBC.mmap.argtypes = (
        ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long,
    )  # fmt: skip
    _HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(_handle)
    _ACTION = _Action(ctypes.cast(_HANDLER, ctypes.c_void_p).value, flags=_WITH_ADDRESS)
    _OURS, _BEFORE = ctypes.byref(_ACTION), ctypes.byref(_Action())
