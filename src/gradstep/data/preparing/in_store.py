"""The second pass over a table on a Dask cluster into an object store: the same files.

`elsewhere` beside this file has the passes for a folder that all workers share. In a store nothing
is written into a file that is there, and each request costs some ten milliseconds. So

1. each piece is encoded on its worker's disk, and is one object: the rows that each task of the
   next step wants, one after another;
2. some buckets that follow each other are gathered, a range of each piece, permuted, and are one
   object: array after array;
3. each array is put together from these, and its checksum computed on the way, by a task.

What steps 1 and 2 write has another name at each attempt, and is removed at the end.
"""

from __future__ import annotations

import hashlib
import io
import secrets
from collections import Counter
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradstep.data.preparing.elsewhere import (
    PLACES,
    EncodePiece,
    attempt,
    brought_together,
    own_pieces,
    shapes_of,
    together,
)
from gradstep.data.preparing.prepared import new_array
from gradstep.data.preparing.remote import CLAIM, claim
from gradstep.errors import CannotWrite
from gradstep.files import without_secrets
from gradstep.floating_point import as_by_default
from gradstep.scratch import scratch_folder
from gradstep.store import BLOCK_BYTES, Store, remote_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from gradstep.data.preparing.elsewhere import Arrays, Own, Part, Shapes
    from gradstep.data.preparing.first_pass import FirstPass
    from gradstep.data.preparing.hold_out import Rule
    from gradstep.data.preparing.placing import Encoder
    from gradstep.rows.kernels.shuffling import Buckets

__all__ = ["fill_store", "stand_in"]

_GATHERED_BYTES = 1 << 27  # of the buckets of a task, which asks every piece for its part of them
_PLACE = np.dtype(np.int64)


def stand_in(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return what has the shape of an array that lies elsewhere, and takes no memory."""
    return np.broadcast_to(np.ones((), dtype), shape)


def fill_store(
    first_pass: FirstPass,
    encoder: Encoder,
    address: str,
    arrays: tuple[Arrays, Arrays],
    buckets: Buckets,
    rule: Rule,
    counts: Sequence[tuple[int, int]],
) -> tuple[Counter[str], dict[str, dict[str, Any]]]:
    """Have every row put where it belongs, into arrays in an object store.

    Parameters
    ----------
    first_pass, encoder, arrays, buckets, rule, counts
        As of `fill_elsewhere`; of the arrays nothing but their shapes.
    address : str
        Of the folder.

    Returns
    -------
    Counter
        By column, the values that the encoding does not know.
    dict
        Of each array's file, its length and SHA-256.
    """
    assert first_pass.each is not None  # noqa: S101
    train, rest = arrays
    shapes, work = shapes_of(train), Store(address).work(secrets.token_hex(8))
    pieces = own_pieces(first_pass, buckets, counts)
    row_bytes = _stride(shapes) - _PLACE.itemsize
    groups = together(buckets.spans(), max(1, _GATHERED_BYTES // max(1, row_bytes)))
    ends = np.array([group[-1][1] for group in groups])
    encode = EncodePiece(first_pass.reading, encoder, rule, shapes, tuple(rest))
    written = list(first_pass.each(_Encode(encode, work, shapes_of(rest), ends), pieces))
    cuts = np.array([piece.cuts for piece in written])  # of which each group has a view
    wanted = [_Group(spans, cuts[:, at : at + 2]) for at, spans in enumerate(groups)]
    gather = _Gather(work, tuple(piece.name for piece in written), shapes, buckets)
    gathered = list(first_pass.each(gather, wanted))
    to_join = []
    for name, array in train.items():
        at = _offsets(shapes)[name]
        of_row = array.nbytes // len(array)
        ranges = [
            (group, at * (hi - lo), of_row * (hi - lo))
            for group, spans in zip(gathered, groups, strict=True)
            for lo, hi in [(spans[0][0], spans[-1][1])]
        ]
        to_join.append(_Array(f"train_{name}.npy", _header(array), ranges))
    for name, array in rest.items():
        at, of_row = _offsets(shapes_of(rest))[name], array.nbytes // len(array)
        ranges = [
            (piece.name, own.n_train * _stride(shapes) + at * own.n_rest, of_row * own.n_rest)
            for piece, own in zip(written, pieces, strict=True)
        ]
        to_join.append(_Array(f"validation_{name}.npy", _header(array), ranges))
    names = [array.name for array in to_join]
    claim(work, names)
    files = dict(zip(names, first_pass.each(_Join(address, work), to_join), strict=True))
    return sum((piece.unseen for piece in written), Counter()), files


def _offsets(shapes: Shapes) -> dict[str, int]:
    """Return how many bytes of a row come before those of each array, and of all, as ""."""
    found, at = {}, 0
    for name, (shape, dtype) in shapes.items():
        found[name] = at
        at += int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    return found | {"": at}


def _stride(shapes: Shapes) -> int:
    """Return the bytes of a row to train on in the object of a piece: with its place."""
    return _PLACE.itemsize + _offsets(shapes)[""]


def _header(array: NDArray[Any]) -> bytes:
    """Return what the file of an array begins with."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {
        "descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False,
        "shape": array.shape,
    })  # fmt: skip
    return file.getvalue()


def _bytes_of(array: NDArray[Any]) -> Iterator[memoryview]:
    """Yield the bytes of an array, in blocks."""
    flat = np.ascontiguousarray(array).data.cast("B") if array.size else memoryview(b"")
    for at in range(0, len(flat), BLOCK_BYTES):
        yield flat[at : at + BLOCK_BYTES]


class _Written(NamedTuple):
    """The object of a piece: where in it each group of buckets begins, and unknown values."""

    name: str
    cuts: NDArray[np.int64]
    unseen: Counter[str]


@dataclass(frozen=True)
class _Encode:
    """Encodes a piece, and writes it as an object: group after group, then what is held out."""

    encode: EncodePiece
    work: str
    rest: Shapes
    ends: NDArray[np.int64]

    @as_by_default
    def __call__(self, _rows: None, own: Own) -> _Written:
        with scratch_folder() as folder:
            rest = {
                name: new_array(folder, f"validation_{name}", (own.n_rest, *shape), dtype)
                for name, (shape, dtype) in self.rest.items()
            }

            def hold_out(name: str, first: int, rows: NDArray[Any]) -> None:
                rest[name][first : first + len(rows)] = rows

            arrays, unseen = self.encode.into(folder, own, hold_out)
            cuts = np.searchsorted(arrays[PLACES], [0, *self.ends])
            name = attempt(f"{own.number:05}")
            size = sum(array.nbytes for array in (*arrays.values(), *rest.values()))
            with (
                remote_errors(f"{self.work}/{name}", CannotWrite, "written"),
                Store(self.work).writing(name, size) as file,
            ):
                for lo, hi in pairwise(cuts):
                    for array in arrays.values():
                        for block in _bytes_of(array[lo:hi]):
                            file.write(block)
                for array in rest.values():
                    for block in _bytes_of(array):
                        file.write(block)
        return _Written(name, cuts, unseen)


class _Group(NamedTuple):
    """Buckets that follow each other, and which rows of each piece's object they have: from, to."""

    spans: list[tuple[int, int]]
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class _Gather:
    """Brings the rows of some buckets together, permutes each, and writes them as an object."""

    work: str
    pieces: tuple[str, ...]
    shapes: Shapes
    buckets: Buckets

    @as_by_default
    def __call__(self, _rows: None, own: _Group) -> str:
        stride, offsets = _stride(self.shapes), _offsets(self.shapes)
        store = Store(self.work)

        def rows_of(block: bytes, n: int, noun: str) -> NDArray[Any]:
            of_row, dtype = self.shapes[noun]
            shape = n, *of_row
            start = n * (_PLACE.itemsize + offsets[noun])
            return np.frombuffer(block, dtype, int(np.prod(shape)), start).reshape(shape)

        def parts() -> Iterator[Part]:
            for name, (begin, end) in zip(self.pieces, own.rows.tolist(), strict=True):
                if begin == end:
                    continue
                with remote_errors(f"{self.work}/{name}", CannotWrite, "read"):
                    block = store.read(name, begin * stride, end * stride)
                n = end - begin
                yield np.frombuffer(block, _PLACE, n), partial(rows_of, block, n)

        found = brought_together(self.shapes, self.buckets, own.spans, parts())
        name = attempt(f"rows-{own.spans[0][0]}")
        with remote_errors(f"{self.work}/{name}", CannotWrite, "written"):
            store.write(name, b"".join(b for array in found.values() for b in _bytes_of(array)))
        return name


class _Array(NamedTuple):
    """An array's file: how it begins, and the ranges of objects that follow."""

    name: str
    header: bytes
    ranges: list[tuple[str, int, int]]


@dataclass(frozen=True)
class _Join:
    """Puts an array together; returns its length and checksum."""

    address: str
    work: str

    @as_by_default
    def __call__(self, _rows: None, own: _Array) -> dict[str, Any]:
        size = len(own.header) + sum(n for _, _, n in own.ranges)
        digest, work = hashlib.sha256(), Store(self.work)
        with (
            remote_errors(f"{self.address}/{own.name}", CannotWrite, "written"),
            Store(self.address).writing(own.name, size) as file,
        ):
            for block in self._blocks(own, work):
                digest.update(block)
                file.write(block)
            if not work.exists(CLAIM):
                msg = f"{without_secrets(self.address)} is no longer written to by this run."
                raise CannotWrite(msg)
        return {"bytes": size, "sha256": digest.hexdigest()}

    @staticmethod
    def _blocks(own: _Array, work: Store) -> Iterator[bytes]:
        yield own.header
        for name, start, n in own.ranges:
            for _, block in work.blocks(name, start, start + n):
                yield block
