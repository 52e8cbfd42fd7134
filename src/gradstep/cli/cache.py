"""``gradstep cache``: what is kept to save time, listed and cleared."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gradstep.cache_folder import cache_folder, is_marked, last_used, remove_marked
from gradstep.cli import options as opt
from gradstep.cli.terminal import say
from gradstep.errors import CannotWrite, InvalidTable
from gradstep.figures import count
from gradstep.files import sweep, unfinished

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["cache"]

_OTHERS = {"kernels": "compiled kernels", "scratch": "tables of runs that go on, or were killed"}


def cache(
    *,
    clear: Annotated[bool, typer.Option("--clear", help="Delete all of it.")] = False,
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

    home = cache_folder()
    tables = folder if folder is not None else home / "tables"
    limit = cache_limit(tables)
    entries = list(_entries(tables, verify=verify))
    places = [tables] if folder is not None else [tables, home / "scratch"]
    others = {
        "kernels": [] if folder is not None else _kernels(),
        "scratch": [path for place in places for path in unfinished(place)],
    }
    sizes = {name: sum(map(bytes_of, paths)) for name, paths in others.items()}
    total = sum(entry["bytes"] for entry in entries) + sum(sizes.values())
    if clear:
        for path in [*(Path(entry["folder"]) for entry in entries), *others["kernels"]]:
            remove_marked(path)
        for place in places:
            sweep(place)
            total -= sum(map(bytes_of, unfinished(place)))  # of runs that go on
    left = [entry["folder"] for entry in entries if Path(entry["folder"]).exists()]
    if clear and left:
        msg = f"{left[0]} cannot be deleted."
        raise CannotWrite(msg)
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
