"""Bad input, and what is said of it: by the command line and in Python.

The rows of docs/bad_input.md are these; the test beside runs each, and `python -m tests.bad_input`
writes the page.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
import polars as pl

import gradstep as gs

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

__all__ = ["CASES", "TOPICS", "Case"]

GOOD = "x,colour,y\n" + "".join(f"{i % 5},{'rgb'[i % 3]},{i % 7}\n" for i in range(60))
LONG = "x,y\n" + "".join(f"{i % 9},{i % 7}\n" for i in range(50_000))
FEW = ("--no-cache", "--max-iter", 2)
# What the design asks for; every topic has a case at least.
TOPICS = (
    "NaN or infinity in arrays", "Missing values in a table",
    "A row of a CSV file too short or long", "Text in a column of numbers",
    "Files with different columns or types", "A column name twice",
    "An empty file, no rows, no such target, a constant one", "A target with missing values",
    "One class only", "A class or category that the model does not know", "A constant column",
    "Columns that are lacking, in another order, or more at prediction", "Divergence",
    "Negative weights, or all zero", "A file that is cut, changed or gone",
    "A full disk", "A model or checkpoint that is damaged, or of a newer version",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A row of the table.

    Attributes
    ----------
    topic : str
        One of `TOPICS`.
    what : str
        What is wrong.
    files : dict
        Files by name: text, bytes, or what writes one to its path.
    line : tuple
        The command, without the program's name; empty where it cannot be given on one.
    call : callable
        The same in Python; the working folder has the files.
    says : tuple of str
        What the message must say, in both.
    kind : type or None
        What is raised in Python; None for a note, with which the command succeeds.
    during : callable, optional
        Returns a context in which both happen.
    """

    topic: str
    what: str
    files: dict[str, Any]
    line: tuple[Any, ...]
    call: Callable[[], Any]
    says: tuple[str, ...]
    kind: type[Exception] | None = gs.InvalidTable
    during: Callable[[], AbstractContextManager[Any]] | None = field(default=None, repr=False)

    def write(self, folder: Path) -> None:
        """Write the files."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if callable(content):
                content(path)
            else:
                path.write_bytes(content.encode() if isinstance(content, str) else content)


def _fit(source: str = "t.csv", target: str = "y", **options: Any) -> Callable[[], Any]:
    return lambda: gs.fit_table(source, target, max_iter=2, **options)


def _case(
    topic: int, what: str, files: Any, says: Any, *more: Any, source: str = "t.csv",
    kind: Any = gs.InvalidTable, during: Any = None, target: str = "y", **options: Any,
) -> Case:  # fmt: skip
    """Return a case of training on a table; `more` are options of the command line."""
    files = files if isinstance(files, dict) else {source: files}
    return Case(
        TOPICS[topic], what, files, ("train", source, "-t", target, *FEW, *more),
        _fit(source, target, **options), says if isinstance(says, tuple) else (says,), kind, during,
    )  # fmt: skip


def _model(path: Path) -> None:
    """Train a model on a good table."""
    gs.save(gs.fit_table(pl.read_csv(GOOD.encode()), "y", max_iter=2).model, path)


def _damaged_model(path: Path) -> None:
    _model(path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def _newer_model(path: Path) -> None:
    _model(path)
    content = path.read_bytes()
    path.write_bytes(re.sub(rb'(\\"format\\": )\d', rb"\g<1>7", content, count=1))


def _run(path: Path) -> list[Path]:
    """Write the checkpoints of a run that ends."""
    gs.fit_table(
        pl.read_csv(GOOD.encode()), "y", optimizer="adam", max_iter=4, tol=None, validation=0.0,
        callbacks=[gs.Checkpoint(path.parent, every="1epochs")],
    )  # fmt: skip
    return list(path.parent.iterdir())


def _damaged_run(path: Path) -> None:
    for each in _run(path):
        each.write_bytes(each.read_bytes()[:-9])


def _newer_run(path: Path) -> None:
    for each in _run(path):
        content = each.read_bytes()
        each.write_bytes(re.sub(rb'(\\"format\\": )\d', rb"\g<1>7", content, count=1))


def _half_a_parquet_file(path: Path) -> None:
    pl.DataFrame({"x": [float(i) for i in range(900)], "y": [1.0] * 900}).write_parquet(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _predict(rows: str, *more: Any, verb: str = "predict", **changes: Any) -> dict[str, Any]:
    """Return files, command and call of a prediction or evaluation of other rows."""
    out = ("-o", "out.csv") if verb == "predict" else ()
    return {
        "files": {"m": _model, "later.csv": rows}, "line": (verb, "m", "later.csv", *out, *more),
        "call": lambda: (gs.load("m").predict if verb == "predict" else _evaluated)("later.csv"),
        **changes,
    }  # fmt: skip


def _evaluated(table: str) -> Any:
    return gs.evaluate(gs.load("m"), table)


def _full_disk() -> AbstractContextManager[Any]:
    def full(*_arguments: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return patch.object(os, "posix_fallocate", full)


def _once_read(change: Callable[[Path], Any]) -> AbstractContextManager[Any]:
    """Let something happen to the table when it has been read the first time."""
    from gradstep.data.preparing.second_pass import TableMaker

    read = TableMaker.read

    def read_and_change(self: TableMaker) -> None:
        read(self)
        change(Path("t.csv"))

    return patch.object(TableMaker, "read", read_and_change)


def _changing() -> AbstractContextManager[Any]:
    return _once_read(lambda path: path.write_text(GOOD + "1,r,2\n", encoding="utf-8"))


def _going() -> AbstractContextManager[Any]:
    return _once_read(Path.unlink)


def _arrays(value: float) -> Callable[[], Any]:
    X = np.arange(20.0).reshape(10, 2)
    X[7, 1] = value
    return lambda: gs.MiniBatchRegressor().fit(X, np.arange(10.0))


def _one_class() -> None:
    gs.MiniBatchClassifier().partial_fit(np.ones((4, 1)), ["yes"] * 4, classes=["no", "yes"])
    gs.MiniBatchClassifier().fit(np.arange(10.0)[:, None], ["yes"] * 10)


def _other_order() -> None:
    frame = pl.DataFrame({"x": np.arange(10.0), "z": np.ones(10)}).to_pandas()
    model = gs.MiniBatchRegressor(max_iter=2, tol=None).fit(frame, np.arange(10.0))
    model.predict(frame[["z", "x"]])


def _classes(text: str) -> str:
    return "x,y\n" + "".join(f"{i % 5},{text}\n" for i in range(40))


CASES: tuple[Case, ...] = (
    Case(TOPICS[0], "NaN in an array", {}, (), _arrays(np.nan),
         ("X contains NaN", "row 7, column 1", "Impute"), gs.InvalidData),
    Case(TOPICS[0], "infinity in an array", {}, (), _arrays(np.inf),
         ("X contains infinity", "row 7, column 1", "Clip or drop"), gs.InvalidData),
    _case(0, "infinity in a table", "x,y\n1,2\ninf,3\n4,5\n",
          ("t.csv: Column 'x' is infinite in row 2", r"drop[= ]\S*x")),
    _case(1, "refused", "x,c,y\n" + "1,a,2\n,b,3\n2,,4\n" * 9,
          ("'x' of t.csv is missing in 9 rows, first in row 2", "--missing encode|missing=.encode"),
          "--missing", "error", missing="error"),
    _case(1, "encoded, and noted", "x,y\n" + "1,2\n,3\n4,5\n" * 12, ("x .*12 missing",), kind=None),
    _case(2, "too short", "x,y,z\n1,2,3\n4,5\n6,7,8\n",
          ("t.csv, line 3: the row has 2 fields, the header has 3", "must be quoted")),
    _case(2, "too long", "x,y\n1,2\n3,4\n5,6,7\n", ("t.csv, line 4: the row has 3 fields",)),
    _case(3, "at row 50,002", LONG + "soon,3\n",
          ("t.csv, line 50002: column 'x' has the value 'soon'", "not a number",
           "--as x=category|kinds={.x.: .category.}")),
    _case(4, "other columns", {"d/a.csv": "x,y\n1,2\n2,3\n", "d/b.csv": "x,z\n1,2\n"},
          ("d/b.csv", "y: missing, expected", "z: a column, expected no such column"), source="d"),
    _case(4, "other types",
          {"d/a.parquet": lambda p: pl.DataFrame({"x": [1.0], "y": [2.0]}).write_parquet(p),
           "d/b.parquet": lambda p: pl.DataFrame({"x": ["a"], "y": [2.0]}).write_parquet(p)},
          ("d/b.parquet", "x: string, expected number"), source="d"),
    _case(5, "in a header", "x,y,x\n1,2,3\n",
          ("t.csv, line 1: the column name 'x' comes twice", "column 3", "Rename")),
    _case(6, "an empty file", "", ("t.csv is empty", "must name the columns")),
    _case(6, "no rows", "x,y\n", ("t.csv has no rows",)),
    _case(6, "no such target", GOOD, ("The target 'yy' is not a column", "Did you mean 'y'"),
          target="yy"),
    _case(6, "a constant target", "x,y\n" + "1,7\n2,7\n" * 9,
          ("The target 'y' is 7 in every row",)),
    _case(7, "left out, and counted", GOOD + "1,r,\n", ("1 without a target dropped",),
          kind=None),
    _case(7, "refused", GOOD + "1,r,\n", ("The target 'y' is missing in row 61",),
          "--missing-target", "error", missing_target="error"),
    _case(8, "in a table", _classes("yes"), ("The target 'y' is 'yes' in every row",)),
    Case(TOPICS[8], "in arrays; `partial_fit` takes it", {}, (), _one_class,
         ("y has one class",), gs.InvalidData),
    Case(TOPICS[9], "a category: no contribution, and counted",
         **_predict("x,colour\n1,pink\n2,r\n"), kind=None,
         says=("1 value of colour unknown or missing", "no effect")),
    Case(TOPICS[9], "a class, in an evaluation",
         **_predict("x,y\n1,maybe\n2,no\n", verb="evaluate", files={
             "m": lambda p: gs.save(gs.fit_table(pl.DataFrame(
                 {"x": [1.0, 2.0, 3.0, 4.0] * 9, "y": ["yes", "no", "no", "yes"] * 9}), "y",
                 max_iter=2).model, p), "later.csv": "x,y\n1,maybe\n2,no\n"}),
         says=("'y' has the class 'maybe', which training did not see", "'no', 'yes'")),
    _case(10, "coefficient 0, and a note", "x,c,y\n" + "1,5,2\n2,5,3\n3,5,5\n" * 12,
          ("c .*every value is 5",), kind=None),
    _case(10, "of whatever size", "x,c,y\n" + "1,1e9,2\n2,1e9,3\n3,1e9,5\n" * 12,
          ("c .*every value is 1",), kind=None),
    Case(TOPICS[11], "lacking", **_predict("colour\nr\n"),
         says=("later.csv lacks a column that the model reads: 'x'",)),
    Case(TOPICS[11], "another order, and more: as they are called",
         **_predict("more,colour,x\n1,r,2\n"), says=("1 prediction",), kind=None),
    Case(TOPICS[11], "another order, of an estimator's frame: as in scikit-learn", {}, (),
         _other_order, ("feature names should match",), ValueError),
    _case(12, "a rate that is too long", GOOD,
          ("Training diverged in epoch", "Use another learning rate"), "--optimizer", "sgd",
          "--learning-rate", "1e9", "--as", "x=number", kind=gs.Diverged, optimizer="sgd",
          learning_rate=1e9, kinds={"x": "number"}),
    _case(13, "negative", "x,w,y\n" + "1,1,2\n2,-0.5,3\n3,1,4\n" * 9,
          ("t.csv: The weight 'w' is -0.5 in row 2", "from 0 on"), "--sample-weight", "w",
          sample_weight="w"),
    _case(13, "all zero", "x,w,y\n" + "1,0,2\n2,0,3\n" * 9, ("The weights 'w' are all zero",),
          "--sample-weight", "w", sample_weight="w"),
    _case(14, "half of a Parquet file", {"t.parquet": _half_a_parquet_file},
          ("t.parquet is no parquet file, or a damaged one",), source="t.parquet"),
    _case(14, "changed while it is read", GOOD,
          ("t.csv changed while it was being read", "Start again"), during=_changing),
    _case(14, "gone while it is read", GOOD,
          ("t.csv disappeared while it was being read", "once it is back"), during=_going),
    _case(14, "not there", {}, ("t.csv does not exist",)),
    Case(TOPICS[15], "while a table is prepared", {"t.csv": GOOD},
         ("prepare", "t.csv", "-t", "y", "-o", "rows"),
         lambda: gs.prepare("t.csv", "y", out="rows"),
         ("rows cannot be written: No space left on device", "Free some space"), gs.CannotWrite,
         _full_disk),
    Case(TOPICS[16], "a damaged model", {"m": _damaged_model}, ("show", "m"),
         lambda: gs.load("m"), ("m is damaged: its checksum differs", "Train the model again"),
         gs.InvalidModel),
    Case(TOPICS[16], "a model of a newer version", {"m": _newer_model}, ("show", "m"),
         lambda: gs.load("m"), ("m has model format 7", "Install gradstep"), gs.InvalidModel),
    Case(TOPICS[16], "checkpoints of a newer version", {"t.csv": GOOD, "run/x": _newer_run},
         ("train", "t.csv", "-t", "y", *FEW, "--optimizer", "adam", "--checkpoint", "run",
          "--resume"),
         lambda: gs.fit_table("t.csv", "y", optimizer="adam",
                              callbacks=[gs.Checkpoint("run", resume=True)]),
         ("has checkpoint format 7", "Install gradstep"), gs.InvalidCheckpoint),
    Case(TOPICS[16], "damaged checkpoints", {"t.csv": GOOD, "run/x": _damaged_run},
         ("train", "t.csv", "-t", "y", *FEW, "--optimizer", "adam", "--checkpoint", "run",
          "--resume"),
         lambda: gs.fit_table("t.csv", "y", optimizer="adam",
                              callbacks=[gs.Checkpoint("run", resume=True)]),
         ("is no checkpoint of gradstep, or a damaged one",
          "No other checkpoint in run can be read. Delete the folder"),
         gs.InvalidCheckpoint),
)  # fmt: skip
