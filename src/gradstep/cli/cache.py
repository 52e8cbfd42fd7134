"""``gradstep cache``: what is kept to save time, listed and cleared."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gradstep.cache_folder import cache_folder, is_marked, last_used, remove_marked
from gradstep.cli import options as opt
from gradstep.cli.terminal import say
from gradstep.errors import CannotWrite, InvalidParameter, InvalidTable
from gradstep.figures import count
from gradstep.files import sweep, unfinished

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["cache"]

_OTHERS = {"kernels": "compiled kernels", "scratch": "tables of runs that go on, or were killed"}


def cache(
    *,
    clear: Annotated[
        bool, typer.Option("--clear", help="Delete what --tables, --kernels or both name.")
    ] = False,
    tables_: Annotated[
        bool, typer.Option("--tables", help="Prepared tables, and what killed runs have left.")
    ] = False,
    kernels: Annotated[
        bool, typer.Option("--kernels", help="Compiled kernels: compiled again when needed.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare every prepared table with its checksums.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option("--cache", help="The folder that `train --cache` was given.")
    ] = None,
    json: opt.Json = False,
) -> None:
    """List prepared tables and compiled kernels, or delete them."""
    from gradstep.cli.report import print_json
    from gradstep.data.preparing.cache import LIMIT, bytes_of, cache_limit

    _refuse_idle(clear=clear, tables=tables_, kernels=kernels, folder=folder)
    home = cache_folder()
    tables = folder if folder is not None else home / "tables"
    limit = cache_limit(tables)
    of_tables, of_kernels = tables_ or not clear, (kernels or not clear) and folder is None
    entries = list(_entries(tables, verify=verify)) if of_tables else []
    places = [tables] if folder is not None else [tables, home / "scratch"]
    others = {
        "kernels": _kernels() if of_kernels else [],
        "scratch": [path for place in places if of_tables for path in unfinished(place)],
    }
    sizes = {name: sum(map(bytes_of, paths)) for name, paths in others.items()}
    total = sum(entry["bytes"] for entry in entries) + sum(sizes.values())
    if clear:
        folders = [Path(entry["folder"]) for entry in entries]
        total -= _delete(folders, others["kernels"], places if of_tables else [])
    if json:
        print_json({
            "folder": str(tables), "tables": entries, "kernel_bytes": sizes["kernels"],
            "scratch_bytes": sizes["scratch"], "limit": limit, "cleared": clear,
        })  # fmt: skip
        return
    for entry in entries:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry["written"]))
        used = _ago(time.time() - entry["used"])
        say(f"{_mb(entry['bytes'])}  {when}, used {used}  {entry['source']} → {entry['target']}")
        if "damage" in entry:
            say(f"  damaged: {entry['damage']}")
    for name, size in sizes.items():
        if size:
            say(f"{_mb(size)}  {_OTHERS[name]}")
    number = count(len(entries), "prepared table", "prepared tables")
    where = folder if folder is not None else home
    kept = "" if clear else f" of at most {_mb(limit).strip()} ({LIMIT})"
    say(f"{'Deleted' if clear else 'In all'} {_mb(total).strip()} in {where}: {number}{kept}.")


def _refuse_idle(*, clear: bool, tables: bool, kernels: bool, folder: Path | None) -> None:
    """Refuse to clear what nobody has named, and names without --clear."""
    if clear and not (tables or kernels):
        msg = (
            "--clear deletes what is named: --tables (prepared tables, and what killed runs have "
            "left), --kernels (compiled code), or both."
        )
    elif (tables or kernels) and not clear:
        msg = "--tables and --kernels say what --clear deletes: they would change nothing."
    elif kernels and folder is not None:
        msg = "--cache names a folder of prepared tables: there are no --kernels in it."
    else:
        return
    raise InvalidParameter(msg)


def _delete(tables: list[Path], kernels: list[Path], places: list[Path]) -> int:
    """Delete folders, and in some places what killed runs have left; return what must stay."""
    from gradstep.data.preparing.cache import bytes_of

    for path in (*tables, *kernels):
        remove_marked(path)
    for path in tables:
        if path.exists():
            msg = f"{path} cannot be deleted."
            raise CannotWrite(msg)
    for place in places:
        sweep(place)
    return sum(bytes_of(path) for place in places for path in unfinished(place))


def _entries(tables: Path, *, verify: bool) -> Iterator[dict[str, Any]]:
    from gradstep.data.preparing.cache import bytes_of, tables_in
    from gradstep.data.preparing.prepared import open_prepared, read_meta

    for path in tables_in(tables):
        try:
            written = path.stat().st_mtime
        except OSError:
            continue  # another process has deleted it
        entry = {"folder": str(path), "bytes": bytes_of(path), "written": written,
                 "used": last_used(path), "source": "?", "target": "?"}  # fmt: skip
        try:
            meta = read_meta(path)
            entry |= {"source": meta["source"], "target": meta["target"]["column"]}
            if verify:
                open_prepared(path, verify=True)
        except InvalidTable as error:
            if not path.exists():
                continue
            entry["damage"] = str(error)
        yield entry


def _kernels() -> list[Path]:
    """Return the folders of compiled kernels, each of a version."""
    folder = cache_folder() / "kernels"
    try:
        return sorted(filter(is_marked, folder.iterdir()))
    except OSError:
        return []


def _ago(seconds: float) -> str:
    """Return a time that has passed in the largest unit that it fills.

    Examples
    --------
    >>> _ago(5.0), _ago(7300.0), _ago(86400.0)
    ('just now', '2 hours ago', '1 day ago')
    """
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            n = int(seconds / size)
            return f"{n:,} {unit}{'' if n == 1 else 's'} ago"
    return "just now"


def _mb(size: int) -> str:
    return f"{size / 1e6:10,.1f} MB"
