"""Options that several verbs share, and how their text is read."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gradstep.checks import parts_of_list, read_bytes
from gradstep.errors import InvalidParameter, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "COLUMNS",
    "HELD_OUT",
    "PENALTY",
    "RUN",
    "TARGET",
    "TRAINING",
    "AllowMixed",
    "AsKind",
    "Cache",
    "ClassWeight",
    "Cluster",
    "Dask",
    "Decimal",
    "Drop",
    "Encoding",
    "Exposure",
    "Force",
    "Json",
    "MaxLevels",
    "Memory",
    "Missing",
    "MissingTarget",
    "Na",
    "NoCache",
    "Offset",
    "Only",
    "RandomState",
    "SampleWeight",
    "TableArgument",
    "Target",
    "Task",
    "Thousands",
    "Threshold",
    "TimeColumn",
    "Validation",
    "cluster",
    "given",
    "one_of",
    "preparation",
    "refuse_allow_mixed",
    "refuse_unknown",
    "split",
]

TableArgument = Annotated[
    str,
    typer.Argument(
        metavar="TABLE",
        help="A path, glob, folder or URL, or - for standard input: CSV, TSV, Parquet, Arrow, "
        "NDJSON, svmlight.",
        show_default=False,
    ),
]
# Groups of options, as --help shows them.
TARGET, COLUMNS, HELD_OUT = "What is predicted", "Columns and values", "Rows held out"
_SHORT = 20  # characters of values that stand in the place of one
PENALTY, TRAINING, RUN = "Penalty", "Training", "What is written, and how it runs"


def one_of(text: str, names: str) -> dict[str, Any]:
    """Return what makes the help of an option list its values, and a shell complete them."""
    values = names.split()
    short = "|".join(values)
    listed = {"metavar": short, "help": text}
    if len(short) > _SHORT:
        listed = {"metavar": "NAME", "help": f"{text} One of {', '.join(values)}."}
    return {
        **listed,
        "autocompletion": lambda incomplete: [v for v in values if v.startswith(incomplete)],
    }


Dask = Annotated[
    str | None,
    typer.Option(
        help="Compute on a Dask cluster: tcp://HOST:8786, or local:N for N processes.",
        rich_help_panel=RUN,
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(help="Probability from which on the second of two classes is predicted."),
]
AllowMixed = Annotated[
    bool,
    typer.Option(
        "--allow-mixed",
        help="Let workers differ in versions or processors, and so bits.",
        rich_help_panel=RUN,
    ),
]
Target = Annotated[
    str | None,
    typer.Option("--target", "-t", help="The column to predict.", rich_help_panel=TARGET),
]
Task = Annotated[
    str,
    typer.Option(
        **one_of("By default what the target looks like.", "auto classification regression"),
        rich_help_panel=TARGET,
    ),
]
SampleWeight = Annotated[
    str | None, typer.Option(help="Column of row weights.", rich_help_panel=TARGET)
]
Offset = Annotated[
    str | None,
    typer.Option(help="Column that is added to the score: a log exposure.", rich_help_panel=TARGET),
]
Exposure = Annotated[
    str | None,
    typer.Option(
        help="Column whose logarithm is added to the score: a time, an area.",
        rich_help_panel=TARGET,
    ),
]
ClassWeight = Annotated[
    str | None,
    typer.Option(
        metavar="WEIGHTS",
        help="balanced: all classes have the same say; or LABEL=WEIGHT for each, comma between.",
        rich_help_panel=TARGET,
    ),
]
Cluster = Annotated[
    list[str] | None,
    typer.Option(
        help="Column that says which rows belong together, for train --inference cluster=COLUMN.",
        rich_help_panel=TARGET,
    ),
]
TimeColumn = Annotated[
    str | None,
    typer.Option(
        help="Hold out the latest rows by this column, not random ones.", rich_help_panel=HELD_OUT
    ),
]
Validation = Annotated[
    str,
    typer.Option(
        help="Share of the rows to hold out, or a file to validate on; 0 for none.",
        rich_help_panel=HELD_OUT,
    ),
]
Drop = Annotated[
    list[str] | None,
    typer.Option(
        help=r"Columns to leave out (comma between, or repeated; \\, in a name).",
        rich_help_panel=COLUMNS,
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        help="The only columns to use (comma between, or repeated).", rich_help_panel=COLUMNS
    ),
]
AsKind = Annotated[
    list[str] | None,
    typer.Option(
        "--as",
        metavar="COLUMN=KIND",
        help="Treat as number, category, date, date:PATTERN (date:%d/%m/%Y), hash, hash:BITS, "
        "text (its words) or text:WORDS (comma between, or repeated).",
        rich_help_panel=COLUMNS,
    ),
]
MaxLevels = Annotated[
    int,
    typer.Option(
        help="Levels of a category with a weight each; rarer ones share one.",
        rich_help_panel=COLUMNS,
    ),
]
Missing = Annotated[
    str,
    typer.Option(
        **one_of("What becomes of missing values.", "encode error"), rich_help_panel=COLUMNS
    ),
]
MissingTarget = Annotated[
    str,
    typer.Option(
        **one_of("What becomes of rows without a target.", "drop error"),
        rich_help_panel=TARGET,
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(help="Memory for prepared rows, as 2GB; more goes to disk.", rich_help_panel=RUN),
]
RandomState = Annotated[
    int, typer.Option(help="Seed: what the order of rows depends on.", rich_help_panel=HELD_OUT)
]
Cache = Annotated[
    Path | None,
    typer.Option(
        help="Folder for prepared tables; by default the user's cache.", rich_help_panel=RUN
    ),
]
NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Keep no prepared table.", rich_help_panel=RUN)
]
Decimal = Annotated[
    str | None,
    typer.Option(
        help="Decimal mark of all numbers, . or ,; by default what the values tell.",
        rich_help_panel=COLUMNS,
    ),
]
Thousands = Annotated[
    str | None,
    typer.Option(
        help="What stands between thousands: , . ' or a space; '' for nothing.",
        rich_help_panel=COLUMNS,
    ),
]
Na = Annotated[
    list[str] | None,
    typer.Option(
        metavar="VALUES",
        help="More values that are missing, as --na=-999,? (comma between, or repeated).",
        rich_help_panel=COLUMNS,
    ),
]
Encoding = Annotated[
    str,
    typer.Option(
        help="Encoding of text files: latin-1, cp1252, utf-16, …; else UTF-8.",
        rich_help_panel=COLUMNS,
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Overwrite a file that gradstep did not write.", rich_help_panel=RUN
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print JSON, for machines.", rich_help_panel=RUN)
]


def preparation(
    *,
    target: str | None,
    validation: str,
    drop: list[str] | None,
    only: list[str] | None,
    kinds: list[str] | None,
    class_weight: str | None,
    memory: str | None,
    na: list[str] | None,
    **others: Any,
) -> dict[str, Any]:
    """Return keyword arguments of `gradstep.prepare` for what was typed; others are passed on."""
    if target is None:
        msg = "it is needed: the column to predict."
        raise typer.BadParameter(msg, param_hint="--target")
    chosen: dict[str, Any] = {
        **others,
        "drop": split(drop),
        "only": split(only),
        "na": split(na),
        "kinds": _kinds(kinds),
        "class_weight": _class_weight(class_weight),
    }
    if memory is not None:
        chosen["memory"] = read_bytes(memory, "--memory")
    try:
        chosen["validation"] = float(validation)
    except ValueError:
        if not re.search(r"[*?\[]|://", validation) and not Path(validation).exists():
            msg = (
                f"--validation {validation} is neither a share of the rows, such as 0.1, nor a "
                "file that exists."
            )
            raise InvalidParameter(msg) from None
        chosen["validation_table"] = validation
    if others["time_column"] is not None and chosen.get("validation", "") in {0.0, ""}:
        msg = (
            f"--time-column chooses a share of the rows to hold out; --validation {validation} "
            "holds out none of them. Leave one of the two away."
        )
        raise InvalidParameter(msg)
    return chosen


def cluster(dask: str | None) -> AbstractContextManager[Any]:
    """Return a client of the cluster that was asked for, as a context; one of None if none was."""
    if dask is None:
        return nullcontext()
    from gradstep.machines.cluster import connected

    return connected(dask)


def refuse_allow_mixed(*, allow_mixed: bool, dask: str | None) -> None:
    """Refuse --allow-mixed where there are no workers."""
    if allow_mixed and dask is None:
        msg = "--allow-mixed would change nothing: it is a part of --dask."
        raise InvalidParameter(msg)


def given(ctx: typer.Context, names: Iterable[str]) -> list[str]:
    """Return those parameters that were typed, as options."""
    typed = []
    for parameter in ctx.command.params:
        source = ctx.get_parameter_source(str(parameter.name))
        if parameter.name in set(names) and source is not None and source.name == "COMMANDLINE":
            typed.append(max(parameter.opts, key=len))
    return typed


def refuse_unknown(option: str, name: str | None, allowed: Iterable[str]) -> None:
    """Refuse a name that is none of those allowed."""
    allowed = list(allowed)
    if name is not None and name not in allowed:
        msg = f"{option} {name} is not known.{nearest(name, allowed)} It must be one of "
        raise InvalidParameter(msg + f"{', '.join(allowed)}.")


def split(values: list[str] | None) -> list[str]:
    """Return what was given with commas between, or repeatedly, as one list."""
    return [part for value in values or () for part in parts_of_list(value)]


def _class_weight(text: str | None) -> str | dict[str, float] | None:
    r"""Return the weights of classes that were typed.

    Examples
    --------
    >>> _class_weight("yes=5,no=0.5")
    {'yes': 5.0, 'no': 0.5}
    """
    if text is None or text == "balanced":
        return text
    found = {}
    for part in split([text]):
        label, _, weight = part.rpartition("=")
        try:
            found[label] = float(weight)
        except ValueError:
            label = ""
        if not label:
            msg = f"--class-weight {text} must be balanced, or LABEL=WEIGHT, such as yes=5."
            raise InvalidParameter(msg)
    return found


def _kinds(values: list[str] | None) -> dict[str, str]:
    found = {}
    for value in split(values):
        column, equals, kind = value.rpartition("=")
        if not equals or not column:
            msg = f"--as {value} must be COLUMN=KIND, such as --as zip=category."
            raise InvalidParameter(msg)
        found[column] = kind
    return found
