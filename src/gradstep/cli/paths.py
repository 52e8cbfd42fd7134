"""Files that were typed: what may be overwritten, what was taken for something else."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gradstep.cache_folder import cache_folder, why_not_writable
from gradstep.cli.notes import say_notes
from gradstep.diagnostics.of_machines import CACHE_NOT_WRITABLE
from gradstep.errors import InvalidModel, InvalidParameter
from gradstep.files import is_stream

if TYPE_CHECKING:
    from gradstep.model.model import Model

__all__ = [
    "label_of",
    "model_of",
    "model_path",
    "note_cache",
    "refuse_foreign",
    "refuse_sources",
]


def refuse_sources(out: Path, *tables: str | None) -> None:
    """Refuse to write over a table that is read."""
    from gradstep.data.sources.opening import files_of

    if not out.exists():
        return
    for table in tables:
        if table is None:
            continue
        folder = Path(table)
        prepared = (folder / "meta.json").is_file()
        for path in folder.iterdir() if prepared else files_of(table):
            if path.exists() and path.samefile(out):
                msg = f"{out} is a table that is read here: it would be overwritten. Name another."
                raise InvalidParameter(msg)


def refuse_foreign(out: Path, what: str, *, force: bool) -> None:
    """Refuse to write over a file that gradstep did not write.

    Parameters
    ----------
    out : Path
        Where something is going to be written.
    what : str
        What: "model", "predictions" or "a report". What a run like this one has left is replaced.
    force : bool
        Whether anything may be overwritten.
    """
    if force or not out.is_file() or is_stream(out) or not out.stat().st_size:
        return
    from gradstep.model.file import load
    from gradstep.model.prediction_files import has_predictions

    if what == "a report":
        from gradstep.reporting.document import is_other

        if not is_other(out):
            return
    elif what == "model":
        with suppress(InvalidModel):
            load(out)
            return
    elif has_predictions(out):
        return
    msg = (
        f"{out} exists, and gradstep did not write it as {what}: it would be overwritten. Name "
        "another file, or give --force."
    )
    raise InvalidParameter(msg)


def model_of(model: Path, table: str) -> Model:
    """Return the model in a file; say so if it was given where the table belongs."""
    from gradstep.model.file import load

    try:
        return load(model)
    except InvalidModel as error:
        try:
            load(table)
        except (InvalidModel, OSError):
            raise error from None
    msg = f"{table} is a model, and {model} is none: MODEL comes first, then TABLE."
    raise InvalidParameter(msg)


def model_path(table: str, target: str) -> Path:
    """Return where a model goes unless it is said: named after the table and the target.

    Examples
    --------
    >>> tables = ("in/trips.csv.gz", "trips/*.parquet", "https://example.org/trips.csv?token=a.b")
    >>> {str(model_path(table, "fare")) for table in tables}
    {'trips-fare.safetensors'}
    """
    table = "stdin" if table == "-" else table
    if "://" in table and "::" not in table:
        table = table.partition("?")[0]  # of an address: what follows is no part of the name
    parts = [part for part in Path(table).parts if not re.search(r"[*?\[\]]", part)]
    name = parts[-1] if parts and Path(table).name != ".." else ""
    if name and not Path(table).is_dir():
        name = re.sub(r"(\.\w+?)(\.(gz|zst|bz2|xz))?$", "", name)
    name = name or Path(table).resolve().name or "table"
    return Path(re.sub(r"[^\w.=+-]+", "_", f"{name}-{target}") + ".safetensors")


def note_cache(codes: frozenset[str]) -> None:
    """Say if nothing can be kept, as all then takes longer than it needs to; or ignore that."""
    why = why_not_writable()
    if why:
        note = CACHE_NOT_WRITABLE.note(
            f"the cache {cache_folder()} cannot be written ({why}): kernels are compiled and "
            "tables prepared anew each time. GRADSTEP_CACHE_DIR names another folder."
        )
        say_notes([note], codes)


def label_of(table: str) -> str | None:
    """Return the target of sparse text, which has one; None of other tables."""
    from gradstep.data.sources.svmlight import LABEL, is_svmlight

    return LABEL if is_svmlight(table) else None
