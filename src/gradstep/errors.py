"""The exceptions of gradstep, one tree.

::

    GradstepError
    ├── InvalidParameter   (also ValueError)       a parameter is wrong, or contradicts another
    │   └── InvalidComponent (also TypeError)      a loss, penalty, ... lacks what is asked of it
    ├── InvalidData        (also ValueError)       rows, targets or weights cannot be used
    │   └── InvalidTable                           a table, a prepared one too, cannot be read
    ├── InvalidModel       (also ValueError)       a model file cannot be read
    ├── InvalidCheckpoint  (also ValueError)       a checkpoint cannot be read, or is of another run
    ├── CannotWrite        (also OSError)          a result cannot be written
    ├── MissingPackage     (also ImportError)      an optional package is not installed
    ├── ClusterLost        (also ConnectionError)  the machines that computed are gone
    ├── MixedMachines      (also RuntimeError)     workers compute otherwise than the driver
    └── Diverged           (also ArithmeticError,  training left the numbers, or became far
                            ValueError)            worse than the best constant prediction

Each message says what is wrong, where, why, and what to do about it. The built-in
bases are those that scikit-learn's users catch.

Warnings have a tree, too. Each has a `code`, which `gradstep.explain` explains::

    GradstepWarning         (also UserWarning)
    ├── CheckpointWarning                          a checkpoint is damaged, or was not written
    ├── CacheWarning        (also RuntimeWarning)  the cache is not used
    ├── OldNameWarning      (also DeprecationWarning)  a parameter has another name now
    └── ConvergenceWarning  (also scikit-learn's, and imported with it: estimators.warned)
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "CacheWarning",
    "CannotWrite",
    "CheckpointWarning",
    "ClusterLost",
    "Diverged",
    "GradstepError",
    "GradstepWarning",
    "InvalidCheckpoint",
    "InvalidComponent",
    "InvalidData",
    "InvalidModel",
    "InvalidParameter",
    "InvalidTable",
    "MissingPackage",
    "MixedMachines",
    "OldNameWarning",
]


class GradstepError(Exception):
    """Base of every error that gradstep raises on purpose."""


class InvalidParameter(GradstepError, ValueError):
    """A parameter has a value that is not allowed, or contradicts another one."""


class InvalidComponent(InvalidParameter, TypeError):
    """A loss, penalty, optimizer or schedule lacks a method that is needed."""


class InvalidData(GradstepError, ValueError):
    """Rows, targets or weights that cannot be trained on or predicted from."""


class InvalidTable(InvalidData):
    """A table, or a prepared one, that cannot be read, or not as asked."""


class InvalidModel(GradstepError, ValueError):
    """A model file that cannot be read."""


class InvalidCheckpoint(GradstepError, ValueError):
    """A checkpoint that cannot be read, or that is of another run."""


class GradstepWarning(UserWarning):
    """Base of every warning of gradstep's; the message begins with its code.

    Examples
    --------
    >>> import warnings
    >>> warnings.filterwarnings("ignore", "GS204")  # this one, and no other
    """

    @property
    def code(self) -> str:
        """The code of its diagnostic, which `gradstep.explain` explains."""
        return str(self).partition(":")[0]


class CacheWarning(GradstepWarning, RuntimeWarning):
    """A cache that is not used, while all goes on."""


class OldNameWarning(GradstepWarning, DeprecationWarning):
    """A parameter that has another name now."""


class CheckpointWarning(GradstepWarning):
    """A checkpoint that is damaged or could not be written, while the run goes on."""


class CannotWrite(GradstepError, OSError):
    """A result that cannot be written: no space, no permission, or it exists already."""


class ClusterLost(GradstepError, ConnectionError):
    """The machines that computed are gone, or silent.

    Attributes
    ----------
    params : ndarray or None
        The best parameters until then, if they were lost within a fit, after an epoch.
    model : Model or None
        The model that these make, of `fit_table`.
    """

    params: Any = None
    model: Any = None


class MixedMachines(GradstepError, RuntimeError):
    """Workers compute with other versions or processors than the driver: bits would differ."""

    @classmethod
    def between(cls, driver: Mapping[str, str], worker: Mapping[str, str]) -> MixedMachines:
        """Return the error that names what differs."""
        other = ", ".join(
            f"{name} ({worker.get(name, 'none'):.40}, not {driver[name]:.40})"
            for name in driver
            if driver[name] != worker.get(name)
        )
        return cls(
            f"A worker computes with another {other}: the last bits of the model would depend on "
            "who computed what. Install the same everywhere, or allow it (allow_mixed=True)."
        )


class MissingPackage(GradstepError, ImportError):
    """What was asked for needs an optional package; the message says how to install it."""


class Diverged(GradstepError, ArithmeticError, ValueError):
    """Training diverged: not finite, or far worse than the best constant prediction.

    Attributes
    ----------
    epoch : int
        The epoch, counted from 1, in which it was seen.
    """

    def __init__(self, message: str, *, epoch: int) -> None:
        super().__init__(message)
        self.epoch = epoch

    def __reduce__(self) -> tuple[object, ...]:
        """Keep `epoch` when the error crosses a process, as in a grid search."""
        return _rebuild_diverged, (str(self), self.epoch)


def _rebuild_diverged(message: str, epoch: int) -> Diverged:
    return Diverged(message, epoch=epoch)


# What other packages call ours, where the names are not alike.
_ELSEWHERE = {
    "quantile": "pinball",
    "mse": "squared_error",
    "logistic": "log_loss",
    "weights": "sample_weight",
}


def nearest(name: object, allowed: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` if an allowed name is close, in whatever case; else nothing."""
    names = {other.casefold(): other for other in allowed}
    asked = str(name).casefold()
    if _ELSEWHERE.get(asked) in names:
        asked = _ELSEWHERE[asked]
    close = get_close_matches(asked, list(names), n=1)
    return f" Did you mean {names[close[0]]!r}?" if close else ""
