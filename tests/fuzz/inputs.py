"""What is done with a damaged file: all that a user would do with it."""

from __future__ import annotations

import io
import sys
import zlib
from contextlib import redirect_stdout
from typing import TYPE_CHECKING
from unittest.mock import patch

import numpy as np

import gradstep as gs
from gradstep.characters import acting
from gradstep.cli.main import main
from gradstep.data.sources.opening import open_table
from gradstep.data.sources.svmlight import SparseTable
from gradstep.engine.checkpoint_folder import CheckpointFolder, Content
from tests.fuzz.corpus import FRAME
from tests.reporting.pages import Page, check

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["INPUTS"]

_SHOWN = 8  # one of so many models that are used is looked at, too, which takes longer


def _model(folder: Path, *, whole: bool) -> None:
    """Load a model; if that goes, predict, and look at it."""
    model = gs.load(folder / "m")
    rows = folder.parent / "t.svm" if hasattr(model.encoding, "width") else FRAME
    if whole and model.encoding.n_features < 1_000_000:
        found = model.predict_proba(rows) if model.target.classes else model.predict(rows)
        if len(found) not in {FRAME.height, 0}:
            msg = f"{len(found)} predictions"
            raise AssertionError(msg)
        if zlib.crc32((folder / "m").read_bytes()) % _SHOWN == 0:
            _show(folder / "m", model)


def _show(path: Path, model: gs.Model) -> None:
    """Let people look at a model: a page, a notebook, a terminal."""
    check(gs.report(model).html)
    Page(model._repr_html_())
    said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with redirect_stdout(said), patch.object(sys, "argv", ["gradstep", "show", str(path)]):
        try:
            main()
        except SystemExit as end:
            if end.code:
                raise AssertionError(end.code) from None
    said.seek(0)
    if found := acting.search(said.read().replace("\n", "")):
        msg = f"{found[0]!r} came to the terminal"
        raise AssertionError(msg)


def _checkpoint(folder: Path, *, whole: bool) -> None:
    """Read a checkpoint; go on from it."""
    (path,) = CheckpointFolder(folder).files()
    content = Content.read(path)
    if whole:
        callback = gs.Checkpoint(folder, resume=True)
        optimizer = "adam" if "adam" in str(content.asked) else "auto"
        gs.fit_table(
            FRAME, "y", drop=["kind", "many", "said"], optimizer=optimizer, max_iter=2, tol=None,
            callbacks=[callback], validation=0.2, kinds={"id": "hash:4"},
        )  # fmt: skip


def _prepared(folder: Path, *, whole: bool) -> None:
    """Open a prepared folder; train on it."""
    prepared = gs.open_prepared(folder)
    if whole and prepared.encoding.n_features < 10_000:
        gs.fit_table(prepared, None, max_iter=1)


def _table(folder: Path, *, whole: bool) -> None:
    """Read a table; prepare it."""
    (path,) = folder.iterdir()
    if whole:
        gs.prepare(path, "label" if path.suffix == ".svm" else "y", validation=0.2)
    elif path.suffix == ".svm":
        for chunk in SparseTable(path).chunks():
            np.diff(chunk.rows.starts)
    else:
        for _ in open_table(path).chunks():
            pass


INPUTS: dict[str, Callable[..., None]] = {
    "model": _model, "checkpoint": _checkpoint, "prepared": _prepared,
    **dict.fromkeys(("csv", "packed", "sparse", "json", "parquet", "arrow"), _table),
}  # fmt: skip
