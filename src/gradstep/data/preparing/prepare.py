"""Prepare a table: profile it, decide the encoding, hold out rows, shuffle the rest exactly.

Two passes over the table. The first (`first_pass` beside this file) learns what each column
holds; the second (`second_pass`) encodes chunk by chunk and puts each row where it belongs.
Everything depends on the data and the seed alone: a table in memory and one on disk take the
same road to the same bits.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import weakref
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradstep.cache_folder import cache_folder, mark, private_folder, remove_marked
from gradstep.data.preparing.cache import cache_limit, make_room, open_kept
from gradstep.data.preparing.options import options_of
from gradstep.data.preparing.prepared import PreparedTable, open_prepared, seal
from gradstep.data.preparing.remote import publish, publishing, refuse_used
from gradstep.data.preparing.second_pass import TableMaker
from gradstep.data.sources.opening import open_table
from gradstep.data.sources.table import Table
from gradstep.errors import CannotWrite, InvalidParameter, InvalidTable
from gradstep.files import (
    address_of,
    refuse_address,
    refuse_existing,
    sweep,
    temporary_folder,
    writing_folder,
)
from gradstep.floating_point import as_by_default
from gradstep.scratch import scratch_folder
from gradstep.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradstep.data.preparing.choosing import Choose
    from gradstep.data.preparing.options import Each, InOnePass, PrepareOptions, Progress

__all__ = ["DEFAULT_MEMORY", "LEAST_MEMORY", "prepare"]

DEFAULT_MEMORY = 1 << 30  # bytes of arrays that are kept in memory rather than written
LEAST_MEMORY = 1 << 27


@as_by_default
def prepare(
    table: Any,
    target: str,
    *,
    out: str | Path | None = None,
    memory: int = DEFAULT_MEMORY,
    validation_table: Any = None,
    progress: Progress | None = None,
    cache: bool | str | Path = False,
    each: Each | None = None,
    choose: Choose | None = None,
    in_one_pass: InOnePass | None = None,
    **options: Any,
) -> PreparedTable:
    """Turn a table into what training reads; `gradstep.fit.prepare.prepare` says all of it.

    Parameters
    ----------
    table, target, out, memory, validation_table, progress, cache, **options
        As there.
    each : callable, optional
        Runs a task on each piece of the table, elsewhere; by default this process does.
    choose : callable, optional
        Chooses terms on a sample of the training rows, where `splines` is "auto".
    in_one_pass : InOnePass, optional
        Takes along what makes a second pass unnecessary; what is returned has no rows then.
    """
    prepare_options = options_of(target, options)
    if memory < LEAST_MEMORY:
        msg = (
            f"memory={memory:,} bytes is too little: preparing a table takes at least "
            f"{LEAST_MEMORY:,} (128 MB)."
        )
        raise InvalidParameter(msg)
    address = _new_address(out)
    told = progress or (lambda *_: None)
    opened, held_out = _open(table, validation_table, prepare_options, told)
    kept = None
    if cache and opened.fingerprint() and (held_out is None or held_out.fingerprint()):
        kept = _place_in_cache(
            cache, _key(prepare_options, [opened, *([held_out] if held_out else [])])
        )
    limit = 0 if kept is None else cache_limit(kept.parent)
    if kept is not None and kept.exists():
        try:
            return open_kept(kept)
        except InvalidTable:  # damaged, or it made room: made again
            remove_marked(kept)
    each = each if isinstance(opened, Table) and opened.files else None
    how = each, choose, in_one_pass
    maker = _maker_of(opened, held_out, prepare_options, told, *how)
    maker.read()
    streamed: PreparedTable | None = maker.after_one_pass()
    if streamed is not None:
        return streamed
    if kept is not None:
        notes = make_room(kept.parent, maker.bytes, limit)
        made = _make_in_cache(maker, kept, needed=cache is not True)
        if made is not None:
            made.meta["warnings"] += notes
            return made
    if out is None and maker.bytes > memory:
        return _make_for_now(maker)
    if address is None:
        return _make(maker, None if out is None else Path(out))
    return _make_there(maker, address, spread=each is not None)


def _maker_of(
    opened: Any, held_out: Any, options: PrepareOptions, progress: Progress, *how: Any
) -> Any:
    """Return what makes the prepared table of an opened one."""
    if isinstance(opened, Table):
        return TableMaker(opened, held_out, options, progress, *how)
    from gradstep.data.preparing.sparse import SparseMaker

    return SparseMaker(opened, held_out, options, progress)


def _open(
    table: Any, validation_table: Any, options: PrepareOptions, progress: Progress
) -> tuple[Any, Any]:
    """Open the table, and the one to validate on, if there is one."""
    from gradstep.data.sources.svmlight import SparseTable, is_svmlight

    if is_svmlight(table):
        if validation_table is not None and not is_svmlight(validation_table):
            msg = f"{validation_table} is not sparse text (.svm, .libsvm), as {table} is."
            raise InvalidTable(msg)
        held_out = None if validation_table is None else SparseTable(validation_table)
        return SparseTable(table), held_out
    as_text = [c for c, kind in options.kinds if kind.startswith(("category", "hash", "text"))]
    position = getattr(progress, "position", None)

    def told(what: str, done: int, size: int) -> None:
        if position is not None:
            position(done, size)
            progress(what, 0)

    opening = partial(open_table, as_text=as_text, reading=options.reading, told=told)
    return opening(table), None if validation_table is None else opening(validation_table)


def _make_for_now(maker: Any) -> PreparedTable:
    """Make a prepared table that is too large for memory in a folder that goes with it."""
    scratch = cache_folder() / "scratch"
    until_then = contextlib.ExitStack()
    try:
        parent = until_then.enter_context(temporary_folder(private_folder("scratch")))
    except OSError as error:
        msg = f"{scratch} cannot be written: {error.strerror}. Raise memory, or give a folder."
        raise CannotWrite(msg) from error
    with until_then:
        prepared = _make(maker, parent / "table", lasting=False)
        weakref.finalize(prepared, until_then.pop_all().close)
    return prepared


def _new_address(out: str | Path | None) -> str | None:
    """Return the address to write to, None for a folder; refuse one where something is."""
    if out is None:
        return None
    address = address_of(out)
    if address is None:
        refuse_existing(Path(out))
    else:
        refuse_used(address)
    return address


def _make_there(maker: Any, address: str, *, spread: bool) -> PreparedTable:
    """Make a prepared table in an object store: by workers (`spread`), or on this disk first."""
    with scratch_folder() as parent, publishing(address):
        folder = parent / "table"
        if spread:
            folder.mkdir()
            seal(folder, maker.fill(folder, address), elsewhere=maker.written)
        else:
            _make(maker, folder)
        publish(folder, address)
    return open_prepared(address)


def _place_in_cache(cache: bool | str | Path, key: str) -> Path | None:
    """Return the folder for a key in the cache; None if nothing can be kept in the user's.

    What killed runs have left there goes.
    """
    if not isinstance(cache, bool):
        refuse_address(cache)
        sweep(Path(cache))
        return Path(cache) / key
    try:
        base = private_folder("tables")
    except OSError:
        return None
    if not os.access(base, os.W_OK):
        return None
    for leftovers in (base, cache_folder() / "scratch"):
        sweep(leftovers)
    return base / key


def _make_in_cache(maker: Any, folder: Path, *, needed: bool) -> PreparedTable | None:
    """Make the prepared table in the cache, or use the one that another process has just made.

    None if that fails and is not `needed`: the user's cache is a help, and a full disk no reason
    to end a run.
    """
    try:
        return _make(maker, folder, cached=True)
    except CannotWrite:
        with contextlib.suppress(InvalidTable):
            return open_kept(folder)
        if needed:
            raise
        return None


def _make(
    maker: Any, folder: Path | None, *, lasting: bool = True, cached: bool = False
) -> PreparedTable:
    """Make the prepared table in memory, or in a folder that is complete or not there."""
    if folder is None:
        prepared: PreparedTable = maker.fill(None)
        return prepared
    with writing_folder(folder) as part:
        if cached:
            mark(part)
        prepared = maker.fill(part)
        seal(part, prepared, lasting=lasting)
        del prepared
    return open_kept(folder) if cached else open_prepared(folder)


def _key(options: PrepareOptions, tables: Sequence[Table]) -> str:
    """Return a name for what these tables become with these options."""
    key = json.dumps([[t.fingerprint() for t in tables], repr(options), VERSION], sort_keys=True)
    return hashlib.sha256(key.encode()).hexdigest()[:24]
