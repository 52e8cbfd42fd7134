"""A prepared table: rows in numbers, shuffled once, in memory or in a folder of plain arrays.

The folder holds ``meta.json`` and ``.npy`` files. It gets its name once everything is on the disk
(`gradstep.files.writing_folder`): a folder is complete, or it does not open. Opening one
maps its arrays into memory and never runs code.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.data.features.encoding import Encoding
from gradstep.data.features.sparse_encoding import SparseEncoding
from gradstep.data.preparing.arrays import arrays_of
from gradstep.data.preparing.checks import check_meta, check_numbers
from gradstep.data.preparing.remote import RemoteFolder, RemoteRows, copied
from gradstep.data.roles import Target
from gradstep.diagnostics.diagnostic import Note, notes_of
from gradstep.diagnostics.of_tables import CHOSEN_TERMS
from gradstep.errors import InvalidTable
from gradstep.figures import count
from gradstep.files import address_of, refuse_address, sync, without_secrets
from gradstep.mapped import mapped
from gradstep.rows.statistics import Columns
from gradstep.tensor_file import MISSTATED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gradstep.rows.dataset import Dataset

__all__ = [
    "PreparedTable",
    "clusters_of",
    "digest_of",
    "encoding_of",
    "new_array",
    "open_part",
    "open_prepared",
    "read_meta",
    "seal",
    "write_rows",
]

FORMATS = (1, 2)  # 2 has terms
_META = "meta.json"


@dataclass
class PreparedTable:
    """A table as training reads it (`gradstep.prepare` makes one).

    Attributes
    ----------
    train : Dataset
        The training rows, in random order.
    validation : Dataset or None
        The rows held out, in the order of the table.
    encoding : Encoding or SparseEncoding
        What became of each column.
    target : Target
        What is predicted.
    meta : dict
        Where it comes from, counts, and what was noticed.
    folder : Path or None
        Where it lies; None in memory.
    address : str or None
        Where it lies in an object store; then `folder` is a copy.
    offset : ndarray or None
        Offsets of the validation rows; those of the training rows are part of their targets.
    clusters : dict
        Of "train" and "validation", each row's keys (`gradstep.data.roles.cluster_keys`), if any.
    """

    train: Dataset
    validation: Dataset | None
    encoding: Any
    target: Target
    meta: dict[str, Any]
    folder: Path | None = None
    offset: NDArray[np.float64] | None = None
    clusters: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    address: str | None = None

    @property
    def n_rows(self) -> int:
        """Rows to train on."""
        return self.train.n

    @property
    def feature_names(self) -> list[str]:
        """What the features are called."""
        names: list[str] = self.encoding.feature_names()
        return names

    @property
    def notes(self) -> list[Note]:
        """What a person should know: warnings, and which terms were chosen."""
        chosen = self.meta.get("chosen")
        told = [CHOSEN_TERMS.note(chosen)] if chosen else []
        return [*notes_of(self.meta["warnings"]), *told]

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the rows, and what became of each column."""
        from gradstep.data.features.in_words import table_in_html

        return table_in_html(self.encoding, self.meta)

    def __repr__(self) -> str:
        held_out = 0 if self.validation is None else self.validation.n
        return (
            f"<PreparedTable: {self.n_rows:,} rows to train on, {held_out:,} held out, "
            f"{count(self.encoding.n_features, 'feature', 'features')}, "
            f"target {self.target.column!r}>"
        )


def clusters_of(
    train: Mapping[str, NDArray[Any]], held_out: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[np.int64]]:
    """Return the keys of rows that are clustered, of each part that has them."""
    parts = {"train": train, "validation": held_out}
    return {part: arrays["clusters"] for part, arrays in parts.items() if "clusters" in arrays}


def encoding_of(content: Mapping[str, Any]) -> Encoding | SparseEncoding:
    """Return the encoding that was written as JSON."""
    return SparseEncoding.from_json(content) if "sparse" in content else Encoding.from_json(content)


# --------------------------------------------------------------------------- writing


def new_array(folder: Path | None, name: str, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return an array to be filled: in memory, or mapped to a file that has all its space."""
    if folder is None:
        return np.empty(shape, dtype)
    path = folder / f"{name}.npy"
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size == 0:  # nothing to map
        np.save(path, np.empty(shape, dtype))
        return np.empty(shape, dtype)
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    handle = os.open(path, os.O_RDWR)
    try:  # a full disk must be an error now, not a crash when a page is written
        os.posix_fallocate(handle, 0, path.stat().st_size)
    finally:
        os.close(handle)
    return array


def write_rows(path: Path, first: int, rows: NDArray[Any], *, lasting: bool = True) -> None:
    """Write rows into a file of NumPy's, from row number `first` on; to the disk, if it lasts."""
    if not rows.size:
        return
    there = mapped(path)
    at = int(there.offset) + first * int(there.strides[0])
    left = np.ascontiguousarray(rows).data.cast("B")
    with path.open("r+b", buffering=0) as file:
        while left:
            done = os.pwrite(file.fileno(), left, at)
            left, at = left[done:], at + done
        if lasting:
            os.fsync(file.fileno())


def seal(
    folder: Path,
    prepared: PreparedTable,
    *,
    lasting: bool = True,
    elsewhere: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> None:
    """Write what the folder holds; if it is to last, with the checksums of its arrays.

    Parameters
    ----------
    folder : Path
        The folder.
    prepared : PreparedTable
        What it is to hold.
    lasting : bool
        Whether it is for others to open.
    elsewhere : mapping
        Arrays that are not here, but belong to it: name to length and checksum.
    """
    files = dict(elsewhere)
    for path in sorted(folder.glob("*.npy")):
        if lasting:
            sync(path)
        digest = _digest(path) if lasting else None
        files[path.name] = {"bytes": path.stat().st_size, "sha256": digest}
    files = dict(sorted(files.items()))
    form = FORMATS[prepared.encoding.has_terms]
    text = json.dumps({"format": form, **prepared.meta, "files": files}, indent=1)
    content = {"meta": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    path = folder / _META
    path.write_text(json.dumps(content), encoding="utf-8")
    sync(path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --------------------------------------------------------------------------- reading


def open_prepared(folder: str | Path, *, verify: bool = False) -> PreparedTable:
    """Open a folder that `prepare` wrote.

    Parameters
    ----------
    folder : str or path
        The folder; of one in an object store (``s3://``), a copy is made in the cache.
    verify : bool
        Whether to compare every array with its checksum, too: that reads all of them.

    Raises
    ------
    InvalidTable
        If it is not complete, damaged, or of a newer version.

    See Also
    --------
    prepare : Writes it.

    Examples
    --------
    >>> import tempfile
    >>> import polars as pl
    >>> import gradstep
    >>> trips = pl.DataFrame({"km": [1.0, 2.0, 4.0], "fare": [5.5, 8.0, 13.0]})
    >>> folder = tempfile.TemporaryDirectory()
    >>> _ = gradstep.prepare(trips, "fare", out=f"{folder.name}/prepared", validation=0.0)
    >>> gradstep.open_prepared(f"{folder.name}/prepared")
    <PreparedTable: 3 rows to train on, 0 held out, 1 feature, target 'fare'>
    >>> folder.cleanup()
    """
    address = address_of(folder)
    folder = Path(folder) if address is None else copied(address)
    meta = read_meta(folder)
    encoding, target = encoding_of(meta["encoding"]), Target.from_json(meta["target"])
    for name, known in meta["files"].items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != known["bytes"]:
            msg = (
                f"{path} is {'missing' if not path.is_file() else 'not as long as it was'}: the "
                "prepared table is damaged. Delete the folder and prepare the table again."
            )
            raise InvalidTable(msg)
        if verify and _digest(path) != known["sha256"]:
            msg = (
                f"{path} is not what was written (its checksum differs): the prepared table is "
                "damaged. Delete the folder and prepare the table again."
            )
            raise InvalidTable(msg)
    train, held_out = (arrays_of(folder, part, meta, encoding) for part in ("train", "validation"))
    check_numbers(folder, "train", train, target)
    check_numbers(folder, "validation", held_out, target)
    _check_weights(folder, train, held_out)
    columns = _columns(meta, encoding)
    return PreparedTable(
        replace(encoding.dataset(train, shuffled=True), columns=columns),
        encoding.dataset(held_out, shuffled=False) if held_out else None,
        encoding,
        target,
        meta,
        folder,
        held_out.get("offset") if held_out else None,
        clusters_of(train, held_out),
        address,
    )


def _check_weights(folder: Path, train: Mapping[str, Any], held_out: Mapping[str, Any]) -> None:
    """Refuse a table of which one part has weights and the other has none."""
    if held_out and ("weight" in train) != ("weight" in held_out):
        part = "validation" if "weight" in train else "train"
        msg = (
            f"{folder / f'{part}_weight.npy'} is no part of the table, though the other part has "
            "weights: the prepared table is damaged. Delete the folder and prepare the table again."
        )
        raise InvalidTable(msg)


def open_part(folder: str | Path, part: str, digest: str) -> Dataset:
    """Open the rows of one part of a folder that somebody else has checked.

    Parameters
    ----------
    folder : str or path
        The folder; of one in an object store, rows are fetched when a part is asked for.
    part : {"train", "validation"}
        Which rows.
    digest : str
        What `digest_of` told of the folder when it was checked.

    Raises
    ------
    InvalidTable
        If it is not there, or another one.
    """
    address = address_of(folder)
    remote = None if address is None else RemoteFolder(address)
    folder = Path(folder) if remote is None else remote.folder
    named = folder if address is None else without_secrets(address)
    if not (folder / _META).is_file():
        msg = (
            f"{named} is not there for a worker on {platform.node()}: a prepared table must lie "
            "on storage that all workers share, under the same path, or in an object store: "
            "prepare it to one (gradstep prepare -o s3://…, prepare(…, out='s3://…'))."
        )
        raise InvalidTable(msg)
    if digest_of(folder) != digest:
        msg = (
            f"{named} is another table for a worker on {platform.node()} than for the driver, or "
            "it has changed. Prepare it again, and train again."
        )
        raise InvalidTable(msg)
    meta = read_meta(folder)
    encoding = encoding_of(meta["encoding"])
    by_rows = remote is not None and not isinstance(encoding, SparseEncoding)
    if remote is not None:
        remote.fetch(part, {"weight"} if by_rows else None)  # all weights tell which rows count
    data = encoding.dataset(
        arrays_of(folder, part, meta, encoding, trusted=True), shuffled=part == "train"
    )
    if not by_rows:
        return data
    return RemoteRows(
        data.rows, data.y, data.sample_weight, data.index, data.shuffled, remote=remote, of=part
    )


def digest_of(folder: Path) -> str:
    """Return the SHA-256 of what a prepared folder says of itself, its arrays' checksums too."""
    return _digest(folder / _META)


def read_meta(folder: Path) -> dict[str, Any]:
    """Return what a prepared folder says of itself, once each part of it is known to be sound."""
    refuse_address(folder)
    path = folder / _META
    if not path.is_file():
        msg = f"{folder} is no prepared table: it has no {_META}."
        raise InvalidTable(msg)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        text, known = content["meta"], content.get("sha256")
        meta: dict[str, Any] = json.loads(text)
        version, wrote = meta.get("format"), meta.get("version", "?")
    except (OSError, *MISSTATED) as error:
        msg = f"{path} cannot be read ({error}). Delete the folder and prepare the table again."
        raise InvalidTable(msg) from error
    if hashlib.sha256(text.encode("utf-8", "replace")).hexdigest() != known:
        msg = f"{path} is damaged: its checksum differs. Delete the folder and prepare again."
        raise InvalidTable(msg)
    if version not in FORMATS:
        msg = (
            f"{folder} has format {version!r:.60}; this version of gradstep reads formats up to "
            f"{FORMATS[-1]}. Prepare the table again, or install the version that wrote it "
            f"(gradstep {wrote})."
        )
        raise InvalidTable(msg)
    try:
        check_meta(meta)
        _columns(meta, encoding_of(meta["encoding"]))
        Target.from_json(meta["target"])
    except MISSTATED as error:
        msg = (
            f"{path} lacks or misstates something ({error}): the prepared table is damaged. Delete "
            "the folder and prepare the table again."
        )
        raise InvalidTable(msg) from error
    return meta


def _columns(meta: Mapping[str, Any], encoding: Encoding | SparseEncoding) -> Columns | None:
    """Return the statistics of the columns that a prepared folder has, if it has any."""
    known = meta.get("statistics")
    return None if known is None else Columns.from_json(known, encoding.n_features)
