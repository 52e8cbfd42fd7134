"""What a resumed fit is recognised by: its parameters as text, and digests of its rows."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.engine.checkpoint import Checkpoint
from gradstep.errors import InvalidParameter
from gradstep.rows.digest import digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from gradstep.rows.dataset import Dataset

__all__ = ["checkpoint_in", "checkpointed"]

HELD_OUT, ROWS, START, TABLE = (
    "what is held out", "the data", "where it starts from", "the table's content",
)  # fmt: skip


def checkpoint_in(callbacks: Sequence[Any]) -> Checkpoint | None:
    """Return the checkpoint among callbacks, if there is one.

    Raises
    ------
    InvalidParameter
        If there are several.
    """
    found = [each for each in callbacks if isinstance(each, Checkpoint)]
    if len(found) > 1:
        msg = f"{len(found)} of the callbacks are a Checkpoint: one is enough for a run."
        raise InvalidParameter(msg)
    return found[0] if found else None


@contextmanager
def checkpointed(
    callbacks: Sequence[Any],
    asked: Mapping[str, Any],
    seed: int,
    data: Dataset,
    held_out: Dataset | None,
    start: NDArray[np.float64],
    files: Sequence[Mapping[str, Any]] = (),
) -> Iterator[None]:
    """Let a checkpoint among the callbacks serve a fit.

    Parameters
    ----------
    callbacks : sequence of Callback
        The callbacks.
    asked : mapping
        The parameters, by name.
    seed : int
        The seed.
    data, held_out : Dataset
        The rows to train on, and those to validate on.
    start : ndarray
        The parameters before the first step.
    files : sequence of mapping
        Fingerprints of the files that the rows come from (`gradstep.data.sources.source_file`).
        With these, the targets are not read once more.
    """
    checkpoint = checkpoint_in(callbacks)
    if checkpoint is None:
        yield
        return
    texts = {name: _text(value) for name, value in asked.items()}
    texts[ROWS] = digest(data, all_targets=not files)
    texts[START] = hashlib.sha256(start.tobytes()).hexdigest()
    if held_out is not None:
        texts[HELD_OUT] = digest(held_out, all_targets=not files)
    if files:
        contents = [{k: v for k, v in file.items() if k != "path"} for file in files]
        texts[TABLE] = hashlib.sha256(json.dumps(contents).encode()).hexdigest()
    with checkpoint.opened(texts, seed):
        yield


def _text(value: Any) -> str:
    """Return a parameter as text that is the same in every process."""
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    with np.printoptions(threshold=sys.maxsize, floatmode="unique"):  # every number, to the bit
        return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
