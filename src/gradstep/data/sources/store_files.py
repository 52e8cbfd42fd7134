"""Files of a table in an object store (``s3://``, ``gs://``): listed, and told apart.

Polars reads files that are here: `store_copies` beside this file copies what is read of them.
"""

from __future__ import annotations

import glob
import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gradstep.errors import InvalidTable
from gradstep.files import without_secrets
from gradstep.store import Store, remote_errors

__all__ = ["StoreFile", "refuse_astray", "stored_files"]

# What a store says of a version of an object, the first of these that it has.
_VERSIONS = ("ETag", "etag", "generation", "md5Hash", "LastModified", "mtime", "updated", "created")


@dataclass(frozen=True)
class StoreFile:
    """A file in a store as it was when the table was opened.

    Attributes
    ----------
    address : str
        Where it is.
    size : int
        Its bytes.
    version : str
        What tells it from others at this address; empty if the store tells nothing, or no size.
    below : str
        Its path within the folder that the user named, whose folders may be columns.
    """

    address: str
    size: int
    version: str
    below: str

    @property
    def name(self) -> str:
        """What messages call it."""
        return without_secrets(self.address)

    def check(self) -> None:
        """Refuse to go on with a file that is no longer what it was."""
        with remote_errors(self.name, InvalidTable, "read", "read it"):
            store = Store(self.address)
            found = store.system.info(store.path(""))
        if (int(found["size"]), _version(found)) != (self.size, self.version):
            msg = (
                f"{self.name} changed while it was being read. Start again once nothing writes "
                "to it."
            )
            raise InvalidTable(msg)

    def entry(self) -> dict[str, Any]:
        """Return what tells this version of the file from another, for the record."""
        version = hashlib.sha256(self.version.encode()).hexdigest()
        return {"path": self.name, "size": self.size, "version": version}


def _version(info: dict[str, Any]) -> str:
    found = next((info[key] for key in _VERSIONS if info.get(key) is not None), "")
    return str(found.timestamp() if isinstance(found, datetime) else found)


def stored_files(address: str) -> list[StoreFile]:
    """Return the files that an address, a pattern or a folder names, in order of their names.

    Raises
    ------
    InvalidTable
        If there are none, or the store does not answer.
    """
    called = without_secrets(address)
    with remote_errors(called, InvalidTable, "read", "read it", besides=", or download it first"):
        store = Store(address)
        system, path = store.system, store.path("")
        try:
            info = system.info(path)
        except FileNotFoundError:
            if not glob.has_magic(path):
                msg = f"{called} does not exist."
                raise InvalidTable(msg) from None
            before = next(i for i, part in enumerate(path.split("/")) if glob.has_magic(part))
            found = system.glob(path, detail=True)
            found = {name: each for name, each in found.items() if each["type"] == "file"}
        else:
            before = path.count("/") + (info["type"] != "file")
            found = {path: info} if info["type"] == "file" else system.find(path, detail=True)
    apart = len(path.split("/")) - before
    root = "/".join(address.rstrip("/").split("/")[:-apart] if apart > 0 else [address.rstrip("/")])
    files = []
    for name, each in sorted(found.items(), key=lambda item: item[0].split("/")):
        below = "/".join(name.split("/")[before:])
        parts = below.split("/")
        if not parts[-1] or any(part.startswith(".") for part in parts):
            continue  # what stands for a folder, and what is hidden
        refuse_astray(below, f"{without_secrets(root)}/{below}")
        size, version = each.get("size"), _version(each)
        files.append(
            StoreFile(f"{root}/{below}", size or 0, "" if size is None else version, below)
        )
    if not files:
        msg = (
            f"{called} has no files." if not glob.has_magic(path) else f"{called} matches no file."
        )
        raise InvalidTable(msg)
    return files


def refuse_astray(below: str, called: str) -> None:
    """Refuse a path that would lead out of the folder which a copy of it is put in."""
    if not {"", ".", ".."}.isdisjoint(below.split("/")):
        msg = (
            f"{called} has a folder without a name of its own (//, . or ..), which no file here "
            "has. Copy it to another name."
        )
        raise InvalidTable(msg)
