"""The table of callbacks: for each class instances, each fresh."""

from __future__ import annotations

import atexit
import io
from dataclasses import dataclass
from shutil import rmtree
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from gradstep.engine.callbacks import EarlyStopping, History, ProgressBar
from gradstep.engine.checkpoint import Checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CALLBACKS", "CallbackCase"]


@dataclass(frozen=True)
class CallbackCase:
    """How a callback is tested: `make` gives instances, `seen` what one has kept or shown."""

    make: tuple[Callable[[], Any], ...]
    seen: Callable[[Any], Any]


_HOME = mkdtemp(prefix="gradstep-callbacks-")
atexit.register(rmtree, _HOME, ignore_errors=True)


def _lines_without_times(bar: ProgressBar) -> list[str]:
    lines = bar.stream.getvalue().splitlines()
    bar.stream.truncate(bar.stream.seek(0))
    return [" ".join(w for w in line.split() if not w[0].isdigit()) for line in lines]


CALLBACKS: dict[type, CallbackCase] = {
    History: CallbackCase(
        make=(History, lambda: History(full_objective=True)),
        seen=lambda history: [
            [(record.epoch, record.loss) for record in history.records],
            history.objectives,
        ],
    ),
    EarlyStopping: CallbackCase(
        make=(
            lambda: EarlyStopping(patience=2, min_delta=0.1),
            lambda: EarlyStopping("full_objective", target=2.0),
        ),
        seen=lambda _: None,  # the number of epochs tells
    ),
    Checkpoint: CallbackCase(
        make=(lambda: Checkpoint(mkdtemp(dir=_HOME), "3steps"),),
        seen=lambda checkpoint: checkpoint.went_on,
    ),
    ProgressBar: CallbackCase(
        make=(lambda: ProgressBar(io.StringIO()),),
        seen=_lines_without_times,
    ),
}
