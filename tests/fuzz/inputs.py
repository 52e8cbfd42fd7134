"""What is done with a damaged file: all that a user would do with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import gradstep as gs
from gradstep.data.sources.opening import open_table
from gradstep.data.sources.svmlight import SparseTable
from gradstep.engine.checkpoint_folder import CheckpointFolder, Content
from tests.fuzz.corpus import FRAME

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["INPUTS"]


def _model(folder: Path, *, whole: bool) -> None:
    """Load a model; if that goes, predict."""
    model = gs.load(folder / "m")
    rows = folder.parent / "t.svm" if hasattr(model.encoding, "width") else FRAME
    if whole and model.encoding.n_features < 1_000_000:
        found = model.predict_proba(rows) if model.target.classes else model.predict(rows)
        if len(found) not in {FRAME.height, 0}:
            msg = f"{len(found)} predictions"
            raise AssertionError(msg)


def _checkpoint(folder: Path, *, whole: bool) -> None:
    """Read a checkpoint; go on from it."""
    (path,) = CheckpointFolder(folder).files()
    content = Content.read(path)
    if whole:
        callback = gs.Checkpoint(folder, resume=True)
        optimizer = "adam" if "adam" in str(content.asked) else "auto"
        gs.fit_table(
            FRAME, "y", drop=["kind", "many"], optimizer=optimizer, max_iter=2, tol=None,
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
