"""``gradstep cache``: what is kept to save time, listed and cleared."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gradstep.cache_folder import cache_folder, is_marked, remove_marked
from gradstep.cli import options as opt
from gradstep.cli.terminal import say
from gradstep.errors import CannotWrite, InvalidTable
from gradstep.files import sweep, unfinished

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["cache"]

_TABLE = re.compile(r"[0-9a-f]{24}")  # the names that prepared tables have in a cache

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
    from gradstep.cli.report import count, print_json

    home = cache_folder()
    tables = folder if folder is not None else home / "tables"
    entries = list(_entries(tables, verify=verify))
    places = [tables] if folder is not None else [tables, home / "scratch"]
    others = {
        "kernels": [] if folder is not None else _kernels(),
        "scratch": [path for place in places for path in unfinished(place)],
    }
    sizes = {name: sum(map(_size, paths)) for name, paths in others.items()}
    total = sum(entry["bytes"] for entry in entries) + sum(sizes.values())
    if clear:
        for path in [*(Path(entry["folder"]) for entry in entries), *others["kernels"]]:
            remove_marked(path)
        for place in places:
            sweep(place)
            total -= sum(map(_size, unfinished(place)))  # of runs that go on
    left = [entry["folder"] for entry in entries if Path(entry["folder"]).exists()]
    if clear and left:
        msg = f"{left[0]} cannot be deleted."
        raise CannotWrite(msg)
    if json:
        print_json({
            "folder": str(tables), "tables": entries, "kernel_bytes": sizes["kernels"],
            "scratch_bytes": sizes["scratch"], "cleared": clear,
        })  # fmt: skip
        return
    for entry in entries:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry["written"]))
        say(f"{_mb(entry['bytes'])}  {when}  {entry['source']} → {entry['target']}")
        if "damage" in entry:
            say(f"  damaged: {entry['damage']}")
    for name, size in sizes.items():
        if size:
            say(f"{_mb(size)}  {_OTHERS[name]}")
    number = count(len(entries), "prepared table", "prepared tables")
    where = folder if folder is not None else home
    say(f"{'Deleted' if clear else 'In all'} {_mb(total).strip()} in {where}: {number}.")


def _entries(tables: Path, *, verify: bool) -> Iterator[dict[str, Any]]:
    from gradstep.data.preparing.prepared import open_prepared, read_meta

    for path in sorted(tables.iterdir()) if tables.is_dir() else ():
        if not (_TABLE.fullmatch(path.name) and is_marked(path)):
            continue  # never deleted
        entry = {"folder": str(path), "bytes": _size(path), "written": path.stat().st_mtime,
                 "source": "?", "target": "?"}  # fmt: skip
        try:
            meta = read_meta(path)
            entry |= {"source": meta["source"], "target": meta["target"]["column"]}
            if verify:
                open_prepared(path, verify=True)
        except InvalidTable as error:
            entry["damage"] = str(error)
        yield entry


def _kernels() -> list[Path]:
    """Return the folders of compiled kernels, each of a version."""
    folder = cache_folder() / "kernels"
    return sorted(filter(is_marked, folder.iterdir())) if folder.is_dir() else []


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _mb(size: int) -> str:
    return f"{size / 1e6:10,.1f} MB"
