"""Sources that Polars cannot read where they are: copied, as plain files, for as long as needed.

Standard input and pipes, what is packed with bzip2, xz or in a ZIP archive, text in another
encoding than UTF-8, and files behind URLs. A copy is written block by block, so its size is bounded
by the disk alone, and is deleted with the table that reads it.
"""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import lzma
import sys
import weakref
import zipfile
import zlib
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradstep.errors import CannotWrite, GradstepError, InvalidTable
from gradstep.files import without_secrets
from gradstep.scratch import scratch_folder
from gradstep.store import remote_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    # Called with what is done, bytes so far, and bytes in all (0 if that is not known).
    Told = Callable[[str, int, int], None]

__all__ = [
    "COPIED",
    "STDIN",
    "LocalCopy",
    "copy_of",
    "copy_of_bytes",
    "copy_of_stdin",
    "copy_of_url",
    "foreign_encoding",
    "plain_name",
]

STDIN = "-"
COPIED = {".bz2", ".xz", ".zip"}
_BLOCK_BYTES = 1 << 20
_PATIENCE = 60.0  # seconds without a byte
_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_MAGIC = {b"PAR1": ".parquet", b"ARROW1": ".arrow", b"\x1f\x8b": ".csv.gz",
          b"\x28\xb5\x2f\xfd": ".csv.zst", b"BZh": ".csv.bz2", b"\xfd7zXZ": ".csv.xz",
          b"PK\x03\x04": ".zip"}  # fmt: skip
_PAGE = (b"<!doctype html", b"<html")
_LONGEST_PAGE_MARK = max(map(len, _PAGE))
_HTTP = {"http", "https"}
_ENCRYPTED = 1  # of a ZIP archive's flags
# Of an archive: RuntimeError that it is packed in a way that Python does not know, ValueError that
# a name in it is none.
_BROKEN = (
    OSError, EOFError, RuntimeError, ValueError, lzma.LZMAError, zlib.error, zipfile.BadZipFile,
)  # fmt: skip


class LocalCopy:
    """A file in a folder that is deleted with this object.

    Attributes
    ----------
    path : Path
        The file.
    fixed : int
        Of how many parts of its path no folder is a column.
    """

    def __init__(self, name: str) -> None:
        with contextlib.ExitStack() as until_then:
            folder = until_then.enter_context(scratch_folder())
            self.path, self.fixed = folder / name, len(folder.parts)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            weakref.finalize(self, until_then.pop_all().close)


def plain_name(path: Path) -> str:
    """Return what a packed file is called once it is unpacked.

    Examples
    --------
    >>> plain_name(Path("trips.csv.xz")), plain_name(Path("trips.csv"))
    ('trips.csv', 'trips.csv')
    """
    if path.suffix.lower() == ".zip":
        try:
            return Path(_member(path).filename).name
        except GradstepError:
            raise
        except _BROKEN as error:
            msg = f"{path} cannot be unpacked: {error}."
            raise InvalidTable(msg) from error
    return path.stem if path.suffix.lower() in COPIED else path.name


def copy_of(
    path: Path, encoding: str, *, is_text: bool, told: Told | None = None
) -> LocalCopy | None:
    """Return a plain copy of a file; None if it can be read as it is.

    Parameters
    ----------
    path : Path
        The file.
    encoding : str
        Of text, as the user says; empty to go by the byte-order mark.
    is_text : bool
        Whether the file, unpacked, is text.
    told : callable, optional
        Called with "unpacking", bytes of the file that have been read, and its size.
    """
    suffix = path.suffix.lower()
    encoding = foreign = foreign_encoding(path, encoding) if is_text else ""
    if suffix not in COPIED and not foreign:
        return None
    name = plain_name(path)
    for packed in (".gz", ".zst") if foreign else ():
        name = name.removesuffix(packed)
    copy = LocalCopy(name)
    try:
        with path.open("rb") as raw, _unpacked(path, raw) as source:
            blocks = _blocks(source, told, "unpacking", raw, path.stat().st_size)
            _write(_recoded(blocks, encoding) if foreign else blocks, copy.path)
    except GradstepError:  # of the copy, or of what is in the archive
        raise
    except UnicodeError as error:
        msg = f"{path} is not text in {encoding}: {error}. Name another (encoding=...)."
        raise InvalidTable(msg) from None
    except _BROKEN as error:
        msg = f"{path} cannot be unpacked: {error}."
        raise InvalidTable(msg) from None
    if is_text and not foreign and _marked(copy.path):
        return copy_of(copy.path, "", is_text=True)
    return copy


def foreign_encoding(path: Path, encoding: str) -> str:
    """Return the encoding of a text, as the user or its first bytes say; empty for UTF-8."""
    found = encoding or (_marked(path) if path.suffix.lower() not in COPIED else "")
    is_plain = not found or codecs.lookup(found).name in {"utf-8", "utf-8-sig"}
    return "" if is_plain else found


def copy_of_stdin(told: Told | None = None) -> LocalCopy:
    """Return a copy of standard input."""
    blocks = _blocks(sys.stdin.buffer, told)
    return copy_of_bytes(next(blocks, b""), blocks)


def copy_of_bytes(first: bytes, more: Iterator[bytes]) -> LocalCopy:
    """Return a copy of what comes in blocks, with the suffix that the first one tells."""
    copy = LocalCopy("stdin" + suffix_of(first))
    _write(chain([first], more), copy.path)
    return copy


def suffix_of(first: bytes) -> str:
    """Return the suffix of a file that begins with these bytes.

    Examples
    --------
    >>> suffix_of(b"PAR1..."), suffix_of(b'{"x": 1}'), suffix_of(b"x,y")
    ('.parquet', '.ndjson', '.csv')
    """
    found = next((suffix for magic, suffix in _MAGIC.items() if first.startswith(magic)), "")
    return found or (".ndjson" if first.lstrip()[:1] == b"{" else ".csv")


def copy_of_url(url: str, told: Told | None = None, below: str = "") -> LocalCopy:
    """Return a copy of a file behind a URL: of HTTP by Python itself, of others by fsspec.

    `below` is its path in the folder of the copy: by default its name, of a chained address
    (``zip://trips.csv::s3://bucket/trips.zip``) that of the first part. What a file without a
    suffix is, its first bytes tell.

    Raises
    ------
    InvalidTable
        If it cannot be read, or is a web page.
    """
    scheme, called = url.partition("://")[0], without_secrets(url)
    first = next((part for part in url.split("::") if "://" in part), url)
    name = below or _name_in(first)
    besides = ", or download the file first"
    if "*" in url and scheme.lower() in _HTTP:
        besides = ", or download the files first, as HTTP has no list that * could choose from"
    with (
        remote_errors(called, InvalidTable, "read", "read it", besides=besides),
        _remote(scheme.lower(), url) as source,
    ):
        blocks = _blocks(source, told, size=getattr(source, "length", 0) or 0)
        start = next(blocks, b"")
        if _is_page(start):
            msg = f"{called} is a web page, not a table. Name the file that it shows or links to."
            raise InvalidTable(msg)
        copy = LocalCopy(name if Path(name).suffix else f"{name or 'table'}{suffix_of(start)}")
        _write(chain([start], blocks), copy.path)
    return copy


def _name_in(url: str) -> str:
    """Return the name of the file that a URL leads to; of HTTP a server comes before its path."""
    scheme, _, path = url.partition("?")[0].partition("://")
    return Path(path.partition("/")[2] if scheme.lower() in _HTTP else path).name


def _is_page(first: bytes) -> bool:
    """Tell whether a web page begins with these bytes, after a byte-order mark or none."""
    mark = next((each for each in (codecs.BOM_UTF8, *_MARKS) if first.startswith(each)), b"")
    text = first.removeprefix(mark)
    if mark in _MARKS:  # two bytes a character
        text = text.replace(b"\0", b"")
    return text.lstrip()[:_LONGEST_PAGE_MARK].lower().startswith(_PAGE)


def _remote(scheme: str, url: str) -> Any:
    """Open a file elsewhere."""
    if scheme in _HTTP:
        from urllib.error import HTTPError
        from urllib.request import urlopen

        try:
            return urlopen(url, timeout=_PATIENCE)  # noqa: S310  # one of the two
        except HTTPError as error:
            error.close()  # a response, too
            raise
    import fsspec

    return fsspec.open(url, "rb")


def _member(path: Path) -> zipfile.ZipInfo:
    """Return the one file of an archive that is a table."""
    with zipfile.ZipFile(path) as archive:
        found = [
            info for info in archive.infolist()
            if not (info.filename.endswith("/") or info.filename.startswith("__MACOSX/"))
        ]  # fmt: skip
    if len(found) != 1:
        listed = ", ".join(info.filename for info in found[:5])
        msg = (
            f"{path} has {len(found):,} files ({listed}), and one is wanted. Unpack it, and name "
            "the folder or the file."
        )
        raise InvalidTable(msg)
    if found[0].flag_bits & _ENCRYPTED:
        msg = f"{path} is encrypted. Unpack it, and name the file."
        raise InvalidTable(msg)
    return found[0]


@contextlib.contextmanager
def _unpacked(path: Path, raw: Any) -> Iterator[Any]:
    """Open a file, which `raw` is as it is, for what is packed in it."""
    suffix = path.suffix.lower()
    if suffix == ".zip":
        with zipfile.ZipFile(raw) as archive, archive.open(_member(path)) as member:
            yield member
        return
    if suffix == ".zst":
        from gradstep.data.sources.text_files import opened

        yield opened(path)
        return
    openers: dict[str, Any] = {".bz2": bz2.open, ".xz": lzma.open, ".gz": gzip.open}
    with openers[suffix](raw) if suffix in openers else contextlib.nullcontext(raw) as source:
        yield source


def _marked(path: Path) -> str:
    """Return the encoding that a byte-order mark tells; empty for UTF-8."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        first = file.read(2)
        return next((name for mark, name in _MARKS.items() if first == mark), "")
    return ""


def _blocks(
    source: Any, told: Told | None, what: str = "fetching", raw: Any = None, size: int = 0
) -> Iterator[bytes]:
    """Yield what a source has, and tell how far it is: in `raw`, if that is what is packed."""
    done = 0
    while block := source.read(_BLOCK_BYTES):
        done += len(block)
        if told is not None:
            told(what, done if raw is None else raw.tell(), size)
        yield block


def _recoded(blocks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Yield text of any encoding as UTF-8."""
    decoder = codecs.getincrementaldecoder(encoding)()
    for block in blocks:
        yield decoder.decode(block).encode()
    yield decoder.decode(b"", final=True).encode()


def _write(blocks: Iterator[bytes], to: Path) -> None:
    with contextlib.ExitStack() as until_then:
        with _failing_as(to):
            file = until_then.enter_context(to.open("wb", buffering=0))
        for block in blocks:
            left = memoryview(block)
            while left:
                with _failing_as(to):
                    left = left[file.write(left) :]


@contextlib.contextmanager
def _failing_as(to: Path) -> Iterator[None]:
    """Tell what goes wrong with the copy, and not with what is copied."""
    try:
        yield
    except OSError as error:
        msg = f"{to} cannot be written: {error.strerror}. A copy of the table is needed there."
        raise CannotWrite(msg) from error
