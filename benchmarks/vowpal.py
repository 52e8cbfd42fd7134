"""Vowpal Wabbit from outside: a warm process that trains on request, and its command."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from numpy.typing import NDArray

WORKER = Path(__file__).with_name("vw_worker.py")


def arguments(data: Path, passes: int, more: Sequence[str] = ()) -> list[str]:
    """Make a command line: so many passes over all rows, the first over text, and a cache.

    Parameters
    ----------
    data : Path
        In its own text format.
    passes : int
        Passes over it; no row is held out, which it would by default, and it never stops early.
    more : sequence of str
        More of its options.

    Returns
    -------
    list of str
        A new cache is made each time, beside the data.
    """
    cache = data.with_suffix(".cache")
    return [
        *("-d", str(data), "-c", "-k", "--cache_file", str(cache)),
        *("--passes", str(passes), "--holdout_off", "--quiet"),
        *more,
    ]


def command(python: str, data: Path, passes: int) -> list[str]:
    """Make the command of a process that trains and writes a model.

    Parameters
    ----------
    python : str
        An interpreter with ``vowpalwabbit``.
    data : Path
        In its own text format.
    passes : int
        Passes over it.

    Returns
    -------
    list of str
        For `subprocess`.
    """
    model = data.with_suffix(".model")
    return [python, "-m", "vowpalwabbit", *arguments(data, passes), "-f", str(model)]


class VowpalWabbit:
    """A process with Vowpal Wabbit loaded; a context, which ends it.

    Parameters
    ----------
    python : str
        An interpreter with ``vowpalwabbit``.

    Attributes
    ----------
    missing : str
        Why it is not there; empty if it is.
    version : str
        Its version.
    weights, intercept : ndarray and float
        What the last training left.
    """

    def __init__(self, python: str) -> None:
        self.missing, self.version = "", ""
        self.weights: NDArray[np.float64] = np.empty(0)
        self.intercept = 0.0
        pipe = subprocess.PIPE
        self._process: subprocess.Popen[str] | None = None
        try:
            self._process = subprocess.Popen(
                [python, str(WORKER)], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
            )
            hello = self._receive()
        except (OSError, RuntimeError) as error:
            hello = {"missing": str(error)}
        if "missing" in hello:
            self.missing = f"not installed ({hello['missing']})"
        else:
            self.version = hello["version"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.communicate()

    def train(self, data: Path, passes: int, features: int, more: Sequence[str] = ()) -> float:
        """Train, and return the seconds that it took inside the warm process.

        Parameters
        ----------
        data : Path
            In its own text format, features called 0, 1, ….
        passes : int
            Passes over it.
        features : int
            How many there are.
        more : sequence of str
            More of its options.
        """
        assert self._process is not None  # noqa: S101
        assert self._process.stdin is not None  # noqa: S101
        request = {"arguments": arguments(data, passes, more), "features": features}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        told = self._receive()
        self.weights, self.intercept = np.array(told["weights"]), float(told["intercept"])
        return float(told["seconds"])

    def _receive(self) -> dict[str, Any]:
        assert self._process is not None  # noqa: S101
        assert self._process.stdout is not None  # noqa: S101
        line = self._process.stdout.readline()
        if not line:
            message = f"the process ended with code {self._process.wait()}"
            raise RuntimeError(message)
        told: dict[str, Any] = json.loads(line)
        return told
