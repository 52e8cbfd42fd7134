"""What the name of a table leads to: a prepared one, in a folder or an object store, or another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gradstep.data.preparing.prepared import open_prepared
from gradstep.files import address_of

__all__ = ["prepared_in"]


def prepared_in(table: Any) -> Any:
    """Return the prepared table that a path or an address leads to; any other table as it is."""
    try:
        is_prepared = isinstance(table, (str, Path)) and _is_prepared(str(table))
    except (OSError, ValueError):  # no name of a file: said where it is opened
        return table
    return open_prepared(table) if is_prepared else table


def _is_prepared(table: str) -> bool:
    address = address_of(table)
    if address is None:
        return (Path(table) / "meta.json").is_file()
    if address.startswith(("http:", "https:")) or "::" in address or Path(table).suffix:
        return False
    from gradstep.data.preparing.remote import is_published

    return is_published(address)
