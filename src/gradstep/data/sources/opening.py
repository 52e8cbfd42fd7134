"""Whatever a table comes as, opened: a path, a glob, a folder, a URL, standard input, a frame."""

from __future__ import annotations

import glob
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import polars as pl

from gradstep.data.sources.frames import query_of
from gradstep.data.sources.local_copy import (
    COPIED,
    STDIN,
    copy_of,
    copy_of_stdin,
    copy_of_url,
    foreign_encoding,
    plain_name,
)
from gradstep.data.sources.read_options import ReadOptions
from gradstep.data.sources.source_file import SourceFile
from gradstep.data.sources.store_copies import head_of
from gradstep.data.sources.store_files import stored_files
from gradstep.data.sources.store_table import StoreTable
from gradstep.data.sources.table import Opened, Table
from gradstep.data.sources.text_files import PACKED, TEXT_FORMATS, TextFile, path_of
from gradstep.data.sources.text_scan import scan_text
from gradstep.data.sources.typed_files import UNREADABLE, fixed_parts, scan_typed
from gradstep.errors import InvalidTable
from gradstep.files import without_secrets

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from gradstep.data.sources.local_copy import Told

__all__ = ["files_of", "open_copy", "open_table"]

_FORMATS = {**dict.fromkeys(TEXT_FORMATS, "csv"), ".parquet": "parquet", ".pq": "parquet",
            ".arrow": "ipc", ".feather": "ipc", ".ipc": "ipc", ".ndjson": "ndjson",
            ".jsonl": "ndjson"}  # fmt: skip
_HEADS_AT_ONCE = 16
_KNOWN = ".csv, .tsv (also .gz, .zst), .parquet, .arrow, .feather, .ndjson; also .bz2, .xz, .zip"


def open_table(
    source: Any, *, as_text: Collection[str] = (), reading: ReadOptions | None = None,
    told: Told | None = None,
) -> Table:  # fmt: skip
    """Open a table: a path, a glob, a folder, a URL, standard input, a frame or a query.

    Parameters
    ----------
    source : str, path, list of paths, or frame
        Files of one format (CSV and TSV, also packed with gzip or zstd; Parquet; Arrow and
        Feather; NDJSON; all of them packed with bzip2, xz or ZIP); ``-`` for standard input; a
        Polars LazyFrame or DataFrame; a pandas or pyarrow table.
    as_text : collection of str
        Columns of text files to read as text whatever they look like.
    reading : ReadOptions, optional
        What is known of how text is written.
    told : callable, optional
        Called with "unpacking" or "fetching", bytes so far, and bytes in all (0 if not known).

    Raises
    ------
    InvalidTable
        If it does not exist, is empty, or is no table.
    """
    reading = reading or ReadOptions()
    if isinstance(source, pl.LazyFrame):
        return _frame(source, "the query", reading)
    if isinstance(source, pl.DataFrame):
        return _frame(source.lazy(), "the frame", reading)
    if isinstance(source, (str, Path)):
        return _open_path(_local(str(source)), as_text, reading, told)
    if isinstance(source, (list, tuple)) and all(isinstance(s, (str, Path)) for s in source):
        source = [_local(str(one)) for one in source]
        stored = [one for one in source if _is_stored(one)]
        if stored and len(stored) < len(source):
            msg = (
                f"{without_secrets(stored[0])} is in an object store, and others are not: name one "
                "or the other."
            )
            raise InvalidTable(msg)
        if stored:
            name = ", ".join(map(without_secrets, stored[:3]))
            return _open_stored(stored, name, as_text, reading, told)
        files = [path for one in source for path in _expand(one)]
        return _open_files(files, ", ".join(source[:3]), as_text, reading, told=told)
    return _frame(query_of(source), f"the {type(source).__name__}", reading)


def _open_path(
    source: str, as_text: Collection[str], reading: ReadOptions, told: Told | None
) -> Table:
    if source == STDIN:
        return open_copy(copy_of_stdin(told), "standard input", as_text, reading, told)
    if _is_stored(source):
        return _open_stored([source], without_secrets(source), as_text, reading, told)
    if "://" in source:
        copy = copy_of_url(source, told)
        return open_copy(copy, without_secrets(source), as_text, reading, told)
    return _open_files(_expand(source), source, as_text, reading, told=told)


def _local(source: str) -> str:
    """Return the path of a file here that an address names; any other name as it is."""
    scheme, _, path = source.partition("://")
    return path if scheme.lower() in {"file", "local"} and "::" not in path else source


def _is_stored(source: str) -> bool:
    """Tell whether a name leads to a store; chained ones do to what is within a file of it."""
    is_address = "://" in source and "::" not in source
    return is_address and not source.lower().startswith(("http:", "https:"))


def _open_stored(
    sources: Sequence[str], name: str, as_text: Collection[str], reading: ReadOptions,
    told: Told | None,
) -> Table:  # fmt: skip
    """Open files in an object store by their heads; those that Polars does not read by copies."""
    files = [file for source in sources for file in stored_files(source)]
    if len(files) > 1:
        prepared = any(file.below == "meta.json" for file in files)
        files = [file for file in files if _format_of(Path(file.below), strict=False)]
        if not files:
            _refuse_folder(name, prepared=prepared)
    formats = {_format_of(Path(file.below), file.name) for file in files}
    if len(formats) > 1:
        msg = f"{name} has files of several formats ({', '.join(sorted(formats))}): use one."
        raise InvalidTable(msg)
    (kind,) = formats
    is_text = kind in {"csv", "ndjson"}
    called = [file.name for file in files]
    heads = []
    if all(file.version and Path(file.below).suffix.lower() not in COPIED for file in files):
        with ThreadPoolExecutor(_HEADS_AT_ONCE, "gradstep-fetch") as pool:
            heads = list(pool.map(partial(head_of, kind=kind), files))
    foreign = is_text and any(foreign_encoding(head.path, reading.encoding) for head in heads)
    if foreign or not heads:
        copies = [copy_of_url(file.address, told, file.below) for file in files]
        paths = [copy.path for copy in copies]
        return _open_files(paths, name, as_text, reading, called=called, copies=copies, told=told)
    paths = [head.path for head in heads]
    if kind == "csv":
        texts = [TextFile.of(*pair) for pair in zip(paths, called, strict=True)]
        scan: Any = partial(scan_text, texts, na=reading.na)
    else:
        texts, fixed = [], [head.fixed for head in heads]
        scan = partial(scan_typed, paths, called, kind, fixed=fixed, heads=True)
    lazy, notes = scan(as_text=as_text)
    again = (lambda columns: scan(as_text=columns)[0]) if is_text else None
    opened = Opened(kind, files, paths, called, texts, heads, again, reading.na)
    return StoreTable(name, _checked_schema(lazy, name), lazy, opened, {}, notes)


def _frame(lazy: pl.LazyFrame, name: str, reading: ReadOptions) -> Table:
    return Table(name, _checked_schema(lazy, name), lazy, Opened(na=reading.na))


def _checked_schema(lazy: pl.LazyFrame, name: str) -> dict[str, pl.DataType]:
    try:
        schema = dict(lazy.collect_schema())
    except UNREADABLE as error:
        reason = str(error).split("\n", maxsplit=1)[0]
        msg = f"{name} cannot be read: {reason}"
        raise InvalidTable(msg) from error
    for column in schema:
        if column.startswith("^") and column.endswith("$"):
            msg = (
                f"Column {column!r} of {name} has a name that Polars reads as a pattern (^…$). "
                "Rename it."
            )
            raise InvalidTable(msg)
    return schema


def files_of(source: str) -> list[Path]:
    """Return the files that a path, a glob or a folder names; none for a URL or standard input."""
    source = _local(source)
    return [] if "://" in source or source == STDIN else _expand(source)


def _expand(source: str) -> list[Path]:
    """Return the files of a path, a glob or a folder, in order of their names."""
    path = path_of(source)
    if path.is_dir():
        SourceFile.of(path)
        files = sorted(
            p for p in path.rglob("*")
            if p.is_file() and _format_of(p, strict=False)
            and not any(part.startswith(".") for part in p.relative_to(path).parts)
        )  # fmt: skip
        if not files:
            _refuse_folder(str(path), prepared=(path / "meta.json").is_file())
        return files
    if path.exists() or not glob.has_magic(source):
        return [path]
    files = sorted(Path(found) for found in glob.glob(str(path), recursive=True))  # noqa: PTH207
    if not files:
        msg = f"{source} matches no file."
        raise InvalidTable(msg)
    return files


def _refuse_folder(name: str, *, prepared: bool) -> NoReturn:
    """Say that a folder has no table: a prepared one may be meant."""
    msg = f"{name} is a folder without any table in it ({_KNOWN})."
    if prepared:
        msg = (
            f"{name} is a prepared table, whose rows are encoded and shuffled: it is for training "
            "alone. Name the table that it was prepared from, or another with its columns."
        )
    raise InvalidTable(msg)


def _told_bytes(told: Told, size: int, at: int) -> None:
    told("unpacking", at, size)


def _format_of(path: Path, called: str = "", *, strict: bool = True) -> str:
    name = path
    if path.suffix.lower() in COPIED and (strict or path.suffix.lower() != ".zip"):
        name = Path(plain_name(path))
    suffixes = [s.lower() for s in name.suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
        if suffixes and suffixes[-1] not in TEXT_FORMATS:
            suffixes = []
    found = _FORMATS.get(suffixes[-1] if suffixes else "", "")
    if strict and not found:
        msg = f"{called or path} has a suffix that says nothing of a table. Known are {_KNOWN}."
        raise InvalidTable(msg)
    return found


def open_copy(
    copy: Any, name: str, as_text: Collection[str], reading: ReadOptions, told: Told | None = None
) -> Table:
    """Open the copy of what is no file here."""
    return _open_files([copy.path], name, as_text, reading, called=[name], copies=[copy], told=told)


def _open_files(
    paths: list[Path], name: str, as_text: Collection[str], reading: ReadOptions, *,
    called: Sequence[str] = (), copies: Sequence[Any] = (), told: Told | None = None,
) -> Table:  # fmt: skip
    if not paths:
        msg = "a table needs at least one file; the list is empty."
        raise InvalidTable(msg)
    files, called = [SourceFile.of(path) for path in paths], called or [str(p) for p in paths]
    for path in paths:
        if path.is_dir():
            msg = f"{path} is a folder among files."
            raise InvalidTable(msg)
    formats = {_format_of(*pair) for pair in zip(paths, called, strict=True)}
    if len(formats) > 1:
        msg = f"{name} has files of several formats ({', '.join(sorted(formats))}): use one."
        raise InvalidTable(msg)
    (kind,) = formats
    kept, read = list(copies), []
    for path in paths:
        copy = copy_of(path, reading.encoding, is_text=kind in {"csv", "ndjson"}, told=told)
        kept += [copy] if copy else []
        read.append(copy.path if copy else path)
    texts = [TextFile.of(*pair) for pair in zip(read, called, strict=True)] if kind == "csv" else []
    packed = [text for text in texts if text.path.suffix.lower() in PACKED]
    for text in packed:  # Polars has all of a line in memory, however few bytes it is packed to
        size = text.path.stat().st_size
        text.check_records(told and partial(_told_bytes, told, size))
    if kind == "csv":
        scan = partial(scan_text, texts, na=reading.na)
    else:
        fixed = [copy.fixed for copy in copies] or [fixed_parts(name)] * len(read)
        scan = partial(scan_typed, read, called, kind, fixed=fixed)
    lazy, notes = scan(as_text=as_text)
    again = (lambda columns: scan(as_text=columns)[0]) if kind in {"csv", "ndjson"} else None
    opened = Opened(kind, files, read, called, texts, kept, again, reading.na)
    checked = bool(texts) and len(packed) == len(texts)
    return Table(name, _checked_schema(lazy, name), lazy, opened, {}, notes, checked)
