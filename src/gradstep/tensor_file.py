"""One safetensors file: arrays by name, and in its header the rest as JSON, all under a checksum.

Models and checkpoints are such files. Reading one never runs code, and nothing is made of a header
before it is known to be what was written: a file asks for no more memory than it has bytes. Which
names, types and shapes there must be is for the caller to say.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.files import writing_file
from gradstep.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["MISSTATED", "TensorFile"]

# What comes of a part of a file that is not what its writer wrote.
MISSTATED = (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError)
_CHECKSUM = "sha256"


@dataclass(frozen=True)
class TensorFile:
    """A kind of such files.

    Attributes
    ----------
    noun : str
        What it is called in messages.
    entry : str
        The only entry of the header's metadata, which tells kinds apart.
    forms : tuple of int
        The versions of the format that are read; the last one is written, unless the content has
        its own "format".
    dtypes : frozenset of str
        The types, as safetensors calls them, that arrays may have.
    error : type
        What is raised.
    otherwise : str
        What to do if a file is damaged.
    """

    noun: str
    entry: str
    forms: tuple[int, ...]
    dtypes: frozenset[str]
    error: type[Exception]
    otherwise: str

    def write(
        self, path: str | Path, content: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> None:
        """Write a file; an existing one is replaced, at once or not at all.

        Raises
        ------
        CannotWrite
            If that cannot be done.
        """
        from safetensors.numpy import save as to_bytes

        whole = {"format": self.forms[-1], "version": VERSION, **content}
        entry = json.dumps({**whole, _CHECKSUM: _checksum(whole, arrays)})
        # one entry: the order of several is chance, and the same content is the same file
        data = to_bytes(dict(arrays), metadata={self.entry: entry})
        with writing_file(path) as file:
            file.write(data)

    def read(
        self,
        path: str | Path,
        names: frozenset[str] | None = None,
        optional: frozenset[str] = frozenset(),
    ) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return what the header holds, and the arrays, once they agree with their checksum.

        Parameters
        ----------
        path : str or path
            The file.
        names : frozenset of str, optional
            The arrays that there are, if they are always the same.
        optional : frozenset of str
            Others that may be there.
        """
        from safetensors import SafetensorError, safe_open

        path = Path(path)
        if not path.is_file():
            what = "does not exist" if not path.exists() else "is no file"
            msg = f"{path} {what}."
            raise self.error(msg)
        arrays: dict[str, NDArray[Any]] = {}
        try:
            with safe_open(path, framework="numpy") as file:
                metadata, found = file.metadata() or {}, set(file.keys())
                ours = set(metadata) == {self.entry} and (
                    names is None or names <= found <= names | optional
                )
                for name in sorted(found) if ours else ():
                    dtype = file.get_slice(name).get_dtype()
                    if dtype not in self.dtypes:
                        wanted = " or ".join(sorted(self.dtypes))
                        msg = (
                            f"{path} is damaged: its numbers are of type {dtype}, where {wanted} "
                            "is written."
                        )
                        raise self.error(msg)
                    arrays[name] = file.get_tensor(name)
        except (SafetensorError, OSError, ValueError) as error:
            if isinstance(error, self.error):
                raise
            msg = f"{path} is no {self.noun} of gradstep, or a damaged one: {error}."
            raise self.error(msg) from error
        if not ours:
            msg = f"{path} is a safetensors file, but not one that gradstep wrote as a {self.noun}."
            raise self.error(msg)
        return self._checked(path, metadata[self.entry], arrays), arrays

    def _checked(
        self, path: Path, entry: str, arrays: Mapping[str, NDArray[Any]]
    ) -> dict[str, Any]:
        """Return the content of a header whose version and checksum are right."""
        try:
            content: dict[str, Any] = json.loads(entry)
            version, wrote = content["format"], content.get("version", "?")
            known = content.pop(_CHECKSUM, None)
            found = _checksum(content, arrays)
        except MISSTATED as error:
            msg = f"{path} is damaged: its header cannot be read ({error})."
            raise self.error(msg) from error
        if version not in self.forms:
            msg = (
                f"{path} has {self.noun} format {version!r}, and this version of gradstep "
                f"({VERSION}) reads formats up to {self.forms[-1]}. Install gradstep {wrote}, "
                "which wrote it, or newer."
            )
            raise self.error(msg)
        if known != found:
            msg = (
                f"{path} is damaged: its checksum differs from the one that gradstep {wrote} "
                f"wrote. {self.otherwise}"
            )
            raise self.error(msg)
        return content

    def misstated(self, path: str | Path, why: object) -> Exception:
        """Return the error of a file that has something else than what is written."""
        return self.error(f"{path} is damaged: its header lacks or misstates something ({why}).")


def _checksum(content: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256(json.dumps(content).encode())
    for name in sorted(arrays):
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()
