"""Folders in an object store (``s3://``, ``gs://``), to which fsspec speaks.

An object appears whole, or not at all, and nothing is written into one that is there: so what
several machines write are objects of their own. (A file of ``file://`` may be seen half-written.)
"""

from __future__ import annotations

import errno
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from gradstep.errors import CannotWrite, GradstepError, InvalidTable
from gradstep.files import without_secrets
from gradstep.scratch import full_disk

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

__all__ = ["BLOCK_BYTES", "Store", "remote_errors"]

_WORK = ".gradstep-"  # begins the names of what is removed again
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
_SHOWN = 3  # names in a message
_MOST_BLOCKS = 9_000  # S3 takes an object in up to 10,000
BLOCK_BYTES = 1 << 26  # of what is read or written at a time


class Store:
    """A folder in an object store; or a file of it, which is called "".

    Parameters
    ----------
    url : str
        Its address.

    Attributes
    ----------
    called : str
        What messages call it.
    """

    def __init__(self, url: str) -> None:
        import fsspec

        self.url = url.rstrip("/")
        self.called = without_secrets(self.url)
        # elsewhere folders are no more than beginnings of names
        how = {"auto_mkdir": True} if self.url.startswith("file:") else {}
        self.system, self._root = fsspec.url_to_fs(self.url, **how)
        self._forget()

    def path(self, name: str) -> str:
        """Return what the store calls a file."""
        return f"{self._root}/{name}" if name else self._root

    def work(self, token: str) -> str:
        """Return the address of a folder within for what is removed again (`sweep`)."""
        return f"{self.url}/{_WORK}{token}"

    def exists(self, name: str) -> bool:
        """Tell whether a file is there."""
        self._forget()
        return bool(self.system.exists(self.path(name)))

    def sizes(self) -> dict[str, int]:
        """Return the files right in the folder with their length; none if there is no folder."""
        return {
            name: int(entry["size"] or 0)
            for name, entry in self._listed().items()
            if entry["type"] == "file"
        }

    def works(self) -> list[str]:
        """Return the names of the folders within for what is removed again (`work`)."""
        return [name for name in self._listed() if name.startswith(_WORK)]

    def refuse_used(self, ours: Collection[str] = ()) -> None:
        """Refuse to write where anything is but files of these names, and folders of `work`."""
        others = sorted(
            name for name in self._listed() if name not in ours and not name.startswith(_WORK)
        )
        if others:
            more = ", …" if len(others) > _SHOWN else ""
            msg = (
                f"{self.called} exists already, with {', '.join(others[:_SHOWN])}{more} in it. "
                "Choose another address, or delete what is there first."
            )
            raise CannotWrite(msg)

    def _forget(self) -> None:
        """Let listings be asked for anew: others write, too."""
        self.system.invalidate_cache()

    def _listed(self) -> dict[str, dict[str, Any]]:
        """Return what is right in the folder, by name."""
        self._forget()
        try:
            found = self.system.ls(self._root, detail=True)
        except FileNotFoundError:
            return {}
        listed = {str(entry["name"]).rstrip("/"): entry for entry in found}
        root = listed.get(self._root)
        if root is not None and not root.get("size"):  # an empty object that stands for the folder
            del listed[self._root]
        return {path.rpartition("/")[2]: entry for path, entry in listed.items()}

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        """Return a file, or a range of it."""
        found: bytes = self.system.cat_file(self.path(name), start=start, end=end)
        return found

    def blocks(
        self, name: str, start: int, end: int, size: int = BLOCK_BYTES
    ) -> Iterator[tuple[int, bytes]]:
        """Yield a range of a file in blocks of a size, each with where it begins.

        Raises
        ------
        InvalidTable
            If the file ends before the range does.
        """
        for at in range(start, end, size):
            block = self.read(name, at, min(at + size, end))
            if len(block) != min(at + size, end) - at:
                msg = (
                    f"{self.called}{name and '/'}{name} has become shorter. Start again, from what "
                    "it was made of, once nothing else writes to it."
                )
                raise InvalidTable(msg)
            yield at, block

    def get(self, name: str, path: Path) -> None:
        """Copy a file to this disk."""
        self.system.get_file(self.path(name), str(path))

    def write(self, name: str, content: bytes) -> None:
        """Write a file."""
        self.system.pipe_file(self.path(name), content)

    def put(self, path: Path, name: str) -> None:
        """Write a file from this disk."""
        self.system.put_file(str(path), self.path(name))

    @contextmanager
    def writing(self, name: str, size: int) -> Iterator[Any]:
        """Give a file of about so many bytes to write to; it is there once it is whole."""
        block = max(BLOCK_BYTES, -(-size // _MOST_BLOCKS) + (1 << 20) >> 20 << 20)
        file = self.system.open(self.path(name), "wb", block_size=block, autocommit=False)
        try:
            yield file
            file.close()
        except BaseException:
            with suppress(Exception):
                file.discard()
            with suppress(AttributeError):
                file.closed = True  # or the garbage collector would end it as a whole one
            raise
        file.commit()

    def remove(self, names: list[str]) -> None:
        """Remove files, as far as that is possible."""
        for name in names:
            with suppress(Exception):
                self.system.rm_file(self.path(name))

    def sweep(self) -> None:
        """Remove what was for the while of writing, by this process or by one that was killed."""
        with suppress(Exception):
            for name in self.works():
                self.system.rm(self.path(name), recursive=True)


@contextmanager
def remote_errors(
    called: str, kind: type[GradstepError], what: str, do: str = "do so", *, besides: str = ""
) -> Iterator[None]:
    """Tell what goes wrong far away as an error of ours: each file system has its own.

    Parameters
    ----------
    called : str
        The place; what in its address opens the door is not shown.
    kind : type
        The error.
    what, do : str
        What cannot be done there, as in "cannot be *read*" and "may you *read it*".
    besides : str
        What else helps where a package is missing.
    """
    called = without_secrets(called)
    try:
        yield
    except ImportError as error:
        wanted = "fsspec, which is not installed" if error.name == "fsspec" else str(error)
        msg = (
            f"{called} needs another package: {wanted}. Install it (pip install "
            f"'gradstep[remote]'; for s3:// also s3fs, for gs:// gcsfs){besides}."
        )
        raise kind(msg) from None
    except (GradstepError, KeyboardInterrupt):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _FULL and not called.startswith("file:"):
            raise full_disk(error) from error  # of what is copied, and not of the store
        cause = getattr(error, "reason", error)  # of urllib, which wraps what went wrong
        cause = cause.strerror or error if isinstance(cause, OSError) else error
        reason = str(cause).split("\n", maxsplit=1)[0] or type(error).__name__
        msg = f"{called} cannot be {what}: {reason.rstrip('.')}. Is it right, and may you {do}?"
        raise kind(msg) from error
