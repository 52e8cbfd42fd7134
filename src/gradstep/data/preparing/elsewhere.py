"""The second pass over a table on a Dask cluster: it writes the same folder, byte for byte.

1. Each piece of the table is encoded into arrays of its own, its rows in the order of the places
   that the buckets give them; rows that are held out go where those of the pieces before end.
2. Some buckets that follow each other are gathered from the pieces, each is permuted, and they are
   written into the folder's arrays, at once.

Both are tasks that may be run again: what they write are the same bytes. Files that several
machines write are written to, not mapped: on shared storage, a page is written as a whole by
whoever maps it.
"""

from __future__ import annotations

import secrets
import shutil
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from gradstep.data.kernels.columns import put_rows
from gradstep.data.preparing.placing import permute, put
from gradstep.data.preparing.prepared import new_array, write_rows
from gradstep.errors import InvalidTable
from gradstep.floating_point import as_by_default
from gradstep.mapped import mapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from gradstep.data.preparing.first_pass import FirstPass
    from gradstep.data.preparing.hold_out import Rule
    from gradstep.data.preparing.placing import Encoder
    from gradstep.data.preparing.profiling import Reading
    from gradstep.rows.kernels.shuffling import Buckets

    Arrays = dict[str, NDArray[Any]]
    Shapes = dict[str, tuple[tuple[int, ...], np.dtype[Any]]]
    Part = tuple[NDArray[Any], Callable[[str], NDArray[Any]]]

__all__ = [
    "PLACES",
    "EncodePiece",
    "Own",
    "attempt",
    "brought_together",
    "fill_elsewhere",
    "own_pieces",
    "shapes_of",
    "together",
]

_PIECES = "pieces"  # a folder within, until the rows are where they belong
PLACES = "row-places"  # of a piece: where its rows go; no array of rows is called so
_GATHERED_BYTES = 1 << 26  # of the buckets of a task


def fill_elsewhere(
    first_pass: FirstPass,
    encoder: Encoder,
    folder: Path,
    arrays: tuple[Arrays, Arrays],
    buckets: Buckets,
    rule: Rule,
    counts: Sequence[tuple[int, int]],
) -> Counter[str]:
    """Have every row put where it belongs, into files that are there already.

    Parameters
    ----------
    first_pass : FirstPass
        What the first pass found; its `each` runs the tasks.
    encoder : Encoder
        From chunks to arrays.
    folder : Path
        Of the prepared table.
    arrays : (dict, dict)
        Those of the rows to train on, and held out.
    buckets : Buckets
        Where rows go.
    rule : Rule
        Which rows are held out.
    counts : sequence of (int, int)
        How many rows of each chunk are trained on and held out.

    Returns
    -------
    Counter
        By column, the values that the encoding does not know.
    """
    assert first_pass.each is not None  # noqa: S101
    train, rest = arrays
    work = (folder / _PIECES).absolute()
    work.mkdir()
    pieces = own_pieces(first_pass, buckets, counts)
    encode = EncodePiece(first_pass.reading, encoder, rule, shapes_of(train), tuple(rest))
    task = _Encode(encode, work)
    done = list(first_pass.each(task, pieces))
    row_bytes = max(1, sum(array.nbytes for array in train.values()) // len(train["y"]))
    groups = together(buckets.spans(), max(1, _GATHERED_BYTES // row_bytes))
    names = tuple(name for name, _ in done)
    for _ in first_pass.each(_Gather(work, names, shapes_of(train), buckets), groups):
        pass
    shutil.rmtree(work)
    return sum((unseen for _, unseen in done), Counter())


class Own(NamedTuple):
    """A piece, and what is known of its rows.

    Attributes
    ----------
    piece : Piece
        The piece.
    number : int
        Which one.
    first, first_train, first_rest : int
        The numbers of its first row in the table, of those to train on, of those held out.
    n_train, n_rest : int
        How many rows are trained on, and held out.
    sizes, kept : list
        Of its chunks, as of `Profiles`.
    buckets : Buckets
        As they stand when its first row comes.
    """

    piece: Any
    number: int
    first: int
    first_train: int
    first_rest: int
    n_train: int
    n_rest: int
    sizes: list[int]
    kept: list[NDArray[np.bool_] | None]
    buckets: Buckets


def own_pieces(
    first_pass: FirstPass, buckets: Buckets, counts: Sequence[tuple[int, int]]
) -> list[Own]:
    """Return the pieces with what is known of them; `buckets` pass all rows."""
    found: list[Own] = []
    at = first = train = rest = 0
    for number, piece in enumerate(first_pass.pieces):
        of = slice(at, at + first_pass.found.chunks[number])
        sizes = first_pass.sizes[of]
        n_train, n_rest = (sum(chunk[part] for chunk in counts[of]) for part in (0, 1))
        found.append(Own(
            piece, number, first, train, rest, n_train, n_rest, sizes, first_pass.kept[of],
            deepcopy(buckets),
        ))  # fmt: skip
        for chunk, _ in counts[of]:
            buckets.places(train, chunk)
            train += chunk
        at, first, rest = of.stop, first + sum(sizes), rest + n_rest
    return found


def shapes_of(arrays: Arrays) -> Shapes:
    """Return the shape of a row of each array, and its type."""
    return {name: (array.shape[1:], array.dtype) for name, array in arrays.items()}


@dataclass(frozen=True)
class EncodePiece:
    """Encodes a piece; its rows to train on lie by their places, beside these.

    Attributes
    ----------
    reading, encoder, rule
        As of the second pass.
    shapes : dict
        Of the arrays of the rows to train on (`shapes_of`).
    rest : tuple of str
        The arrays of the rows that are held out; none if these are of another table.
    """

    reading: Reading
    encoder: Encoder
    rule: Rule
    shapes: Shapes
    rest: tuple[str, ...]

    def into(
        self, folder: Path, own: Own, hold_out: Callable[[str, int, NDArray[Any]], None]
    ) -> tuple[Arrays, Counter[str]]:
        """Encode a piece into a folder; return the arrays, by their places, and unknown values.

        `hold_out` is called with rows that are held out: their array, the first one's number among
        those of the piece, and themselves.
        """
        places = deepcopy(own.buckets).places(own.first_train, own.n_train)
        order = np.argsort(places, kind="stable")
        ranks = np.empty_like(order)
        ranks[order] = np.arange(order.size)
        arrays = {
            name: new_array(folder, name, (own.n_train, *shape), dtype)
            for name, (shape, dtype) in self.shapes.items()
        }
        unseen: Counter[str] = Counter()
        train, rest, chunk = 0, 0, 0
        for frame, at in self.reading.chunks(own.piece):
            if chunk == len(own.sizes) or frame.height != own.sizes[chunk]:
                self._refuse_change(own)
            flags = self.rule.flags(frame, own.first + at)
            rows = np.arange(own.first + at, own.first + at + frame.height)
            kept = own.kept[chunk]
            if kept is not None:
                frame = frame.filter(pl.Series(kept))  # noqa: PLW2901
                flags, rows = flags[kept], rows[kept]
            for span, parts in self.encoder.pieces(frame, rows, unseen):
                held_out = flags[span]
                n_rest = int(held_out.sum())
                n_train = held_out.size - n_rest
                own_ranks = ranks[train : train + n_train]
                put(arrays, parts, ~held_out if n_rest else None, own_ranks)
                for name in self.rest if n_rest else ():
                    hold_out(name, rest, parts[name][held_out])
                train, rest = train + n_train, rest + n_rest
            chunk += 1
        if chunk != len(own.sizes) or train != own.n_train:
            self._refuse_change(own)
        return {PLACES: places[order], **arrays}, unseen

    def _refuse_change(self, own: Own) -> None:
        msg = (
            f"{own.piece.name} has other rows than when it was read first. Start again once "
            "nothing writes to it."
        )
        raise InvalidTable(msg)


@dataclass(frozen=True)
class _Encode:
    """Encodes a piece into a folder of its own within the one that is made."""

    encode: EncodePiece
    work: Path

    @as_by_default
    def __call__(self, _rows: None, own: Own) -> tuple[str, Counter[str]]:
        """Return the name of the folder with the piece's arrays, and the unknown values."""
        folder = self.work / attempt(f"{own.number:05}")
        folder.mkdir()

        def hold_out(name: str, first: int, rows: NDArray[Any]) -> None:
            path = self.work.parent / f"validation_{name}.npy"
            write_rows(path, own.first_rest + first, rows)

        found, unseen = self.encode.into(folder, own, hold_out)
        np.save(folder / f"{PLACES}.npy", found[PLACES])
        return folder.name, unseen


def attempt(name: str) -> str:
    """Return the name of what a task writes: each time that it is run another."""
    return f"{name}-{secrets.token_hex(4)}"


@dataclass(frozen=True)
class _Gather:
    """Brings the rows of some buckets together, permutes each, and writes them."""

    work: Path
    pieces: tuple[str, ...]
    shapes: Shapes
    buckets: Buckets

    @as_by_default
    def __call__(self, _rows: None, spans: Sequence[tuple[int, int]]) -> None:
        """Write the rows of buckets that follow each other."""
        lo, hi = spans[0][0], spans[-1][1]

        def rows_of(piece: str, begin: int, end: int, name: str) -> NDArray[Any]:
            found: NDArray[Any] = mapped(self.work / piece / f"{name}.npy")[begin:end]
            return found

        def parts() -> Iterator[Part]:
            for piece in self.pieces:
                places = mapped(self.work / piece / f"{PLACES}.npy")
                begin, end = np.searchsorted(places, (lo, hi))
                yield places[begin:end], partial(rows_of, piece, begin, end)

        for name, array in brought_together(self.shapes, self.buckets, spans, parts()).items():
            write_rows(self.work.parent / f"train_{name}.npy", lo, array)


def brought_together(
    shapes: Shapes, buckets: Buckets, spans: Sequence[tuple[int, int]], parts: Iterable[Part]
) -> dict[str, NDArray[Any]]:
    """Return the rows of buckets that follow each other, each permuted, by name of array.

    Parameters
    ----------
    shapes : dict
        Of a row, by array.
    buckets : Buckets
        Which rows they have.
    spans : sequence of (int, int)
        Where each of them begins and ends.
    parts : iterable of (places, callable)
        Where rows of a piece of the table go, and what gives these by the name of an array.
    """
    lo, hi = spans[0][0], spans[-1][1]
    found = {name: np.empty((hi - lo, *shape), dtype) for name, (shape, dtype) in shapes.items()}
    for places, rows_of in parts:
        at = np.array(places) - lo
        for name, array in found.items():
            if at.size and array.size:
                put_rows(np.array(rows_of(name)), at, array)
    for span in spans:
        permute(found, buckets, *span, first=lo)
    return found


def together(spans: Sequence[tuple[int, int]], most: int) -> list[list[tuple[int, int]]]:
    """Return spans that follow each other in groups of about so many rows.

    Examples
    --------
    >>> together([(0, 3), (3, 5), (5, 9)], 5)
    [[(0, 3), (3, 5)], [(5, 9)]]
    """
    groups: list[list[tuple[int, int]]] = []
    for span in spans:
        if groups and span[1] - groups[-1][0][0] <= most:
            groups[-1].append(span)
        else:
            groups.append([span])
    return groups
