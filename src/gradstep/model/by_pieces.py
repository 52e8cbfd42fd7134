"""A model applied to a table piece by piece: tasks that any machine can run.

What comes of the pieces is put together in their order, so the result does not depend on who
computed what.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradstep.data.sources.pieces import pieces_of
from gradstep.errors import CannotWrite
from gradstep.files import address_of, refuse_existing, sync, writing_folder
from gradstep.floating_point import as_by_default
from gradstep.model.prediction_columns import PredictionColumns
from gradstep.scratch import scratch_folder
from gradstep.store import Store, remote_errors
from gradstep.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from gradstep.model.model import Model

__all__ = ["MANIFEST", "Part", "predict_parts", "run_on_pieces", "scores_there"]

_PART = re.compile(r"part-\d+\.parquet")
MANIFEST = "_SUCCESS"  # as other engines call it: written last, once all parts are there


class Part(NamedTuple):
    """A file of predictions that has been written.

    Attributes
    ----------
    file : str
        Its name.
    rows, bytes : int
        Its size.
    sha256 : str
        Of its content.
    source : str
        The file whose rows it has.
    unseen : Counter
        By column, the values that training did not see.
    """

    file: str
    rows: int
    bytes: int
    sha256: str
    source: str
    unseen: Counter[str]


def run_on_pieces(
    task: Any,
    pieces: Sequence[Any],
    client: Any,
    *,
    allow_mixed: bool = False,
    watch: Callable[[int, int], None] | None = None,
) -> Iterator[Any]:
    """Yield what comes of a task on each piece of a table, in order: here, or on a cluster."""
    if client is None:
        return (task(None, piece) for piece in pieces)
    from gradstep.machines.each import run_each  # imports Dask

    return iter(run_each(client, task, pieces, allow_mixed=allow_mixed, watch=watch))


def apart(model: Model) -> Model:
    """Return the model with counts of its own, since tasks may run side by side."""
    return replace(model, unseen=Counter())


# --------------------------------------------------------------------------- in memory


@dataclass(frozen=True)
class _Scores:
    model: Model

    @as_by_default
    def __call__(self, _rows: None, piece: Any) -> tuple[NDArray[np.float64], Counter[str]]:
        model = apart(self.model)
        return model.table_scores(piece.open()), model.unseen


def scores_there(
    model: Model, opened: Any, client: Any, *, allow_mixed: bool = False
) -> NDArray[np.float64]:
    """Return the scores of the rows of an opened table, computed by the workers of a cluster."""
    pieces = pieces_of(opened, elsewhere=True)
    found = list(run_on_pieces(_Scores(model), pieces, client, allow_mixed=allow_mixed))
    model.unseen.clear()
    model.unseen.update(sum((unseen for _, unseen in found), Counter()))
    return np.concatenate([z for z, _ in found])


# --------------------------------------------------------------------------- into files


@dataclass(frozen=True)
class _Predict:
    """Writes the predictions of a piece: a file that is whole or not there, so it may run again.

    `place` is a folder, or its address in an object store.
    """

    columns: PredictionColumns
    place: Path | str

    @as_by_default
    def __call__(self, _rows: None, numbered: _Numbered) -> Part:
        if isinstance(self.place, Path):
            return self._into(self.place, numbered)
        with scratch_folder() as folder:
            part = self._into(folder, numbered)
            with remote_errors(f"{self.place}/{part.file}", CannotWrite, "written"):
                Store(self.place).put(folder / part.file, part.file)
        return part

    def _into(self, folder: Path, numbered: _Numbered) -> Part:
        from gradstep.model.prediction_files import write_predictions

        model, table, rows = apart(self.columns.model), numbered.piece.open(), 0
        path = folder / f"part-{numbered.number:05}.parquet"

        def batches() -> Iterator[pl.DataFrame]:
            nonlocal rows
            for batch in replace(self.columns, model=model).of_table(table):
                rows += batch.height
                yield batch

        write_predictions(batches(), path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        source = numbered.piece.name
        return Part(path.name, rows, path.stat().st_size, digest, source, model.unseen)


@dataclass(frozen=True)
class _Numbered:
    number: int
    piece: Any

    @property
    def name(self) -> str:
        return str(self.piece.name)


def predict_parts(
    model: Model,
    table: Any,
    out: str | Path,
    *,
    client: Any = None,
    keep: Sequence[str] = (),
    probabilities: bool = True,
    encoding: str = "",
    interval: float | None = None,
    interval_of: str | None = None,
    allow_mixed: bool = False,
    watch: Callable[[int, int], None] | None = None,
) -> list[Part]:
    """Write predictions for a table into a folder, a Parquet file for each piece of the table.

    The folder gets its name once all is there: ``part-00000.parquet`` and so on, in the order of
    the table's rows, and ``_SUCCESS``, JSON that lists them with rows and SHA-256. In an object
    store ``_SUCCESS`` comes last: without it, others are not all there.

    Parameters
    ----------
    model : Model
        The model.
    table : path, glob or folder
        Files that all workers find under the same path, or in an object store.
    out : str or path
        The folder to write, which must not exist; on storage that all workers share, or its address
        in an object store (``s3://``).
    client : distributed.Client, optional
        The cluster; without one the pieces are predicted here, one after another.
    keep, probabilities, encoding, interval, interval_of
        As of `Model.predict_batches`.
    allow_mixed : bool
        Whether workers may compute with other versions or processors; bits may differ then.
    watch : callable, optional
        Called with (parts written, parts in all).

    Returns
    -------
    list of Part

    Raises
    ------
    CannotWrite
        If the folder is there already, or cannot be written.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> import polars as pl
    >>> from gradstep import fit_table
    >>> x = [0.0, 1.0, 2.0, 3.0] * 25
    >>> frame = pl.DataFrame({"x": x, "y": [1.1, 2.9, 5.1, 6.9] * 12 + [0.9, 3.1, 4.9, 7.1] * 13})
    >>> home = Path(mkdtemp())
    >>> frame.write_parquet(home / "rows.parquet")
    >>> model = fit_table(frame, "y", validation=0.0).model
    >>> predict_parts(model, home / "rows.parquet", home / "out")[0].rows
    100
    >>> sorted(path.name for path in (home / "out").iterdir())
    ['_SUCCESS', 'part-00000.parquet']
    """
    address = address_of(out)
    if address is None:
        refuse_existing(Path(out))
    else:
        _refuse_stored(address)
    columns = PredictionColumns.asked(
        apart(model), keep=keep, probabilities=probabilities, interval=interval,
        interval_of=interval_of,
    )  # fmt: skip
    opened = model.opened(table, copied=keep, encoding=encoding)
    pieces = [_Numbered(*at) for at in enumerate(pieces_of(opened, elsewhere=True, each_file=True))]
    writing = writing_folder(Path(out).absolute()) if address is None else _writing_there(address)
    with writing as place:
        task = _Predict(columns, place)
        parts = list(run_on_pieces(task, pieces, client, allow_mixed=allow_mixed, watch=watch))
        model.unseen.clear()
        model.unseen.update(sum((part.unseen for part in parts), Counter()))
        content = {
            "version": VERSION,
            "rows": sum(part.rows for part in parts),
            "parts": [{k: v for k, v in p._asdict().items() if k != "unseen"} for p in parts],
            "unseen": dict(model.unseen),
            **columns.told,
        }
        _finish(place, json.dumps(content, indent=1) + "\n", [part.file for part in parts])
    return parts


def _finish(place: Path | str, content: str, parts: Sequence[str]) -> None:
    """Write what says that all is there."""
    if isinstance(place, str):
        with remote_errors(place, CannotWrite, "written"):
            Store(place).write(MANIFEST, content.encode())
        return
    for left in {*place.iterdir()} - {place / part for part in parts}:
        left.unlink(missing_ok=True)  # what a worker had begun that was killed
    manifest = place / MANIFEST
    manifest.write_text(content, encoding="utf-8")
    sync(manifest)


def _refuse_stored(address: str) -> None:
    """Refuse to write to a folder of a store in which something is."""
    with remote_errors(address, CannotWrite, "written"):
        Store(address).refuse_used()


@contextmanager
def _writing_there(address: str) -> Iterator[str]:
    """Give an address to write to, of which nothing is left on an error.

    But for a part that a worker is writing meanwhile, which has not heard of it.
    """
    try:
        yield address
    except BaseException:
        with suppress(Exception):
            store = Store(address)
            store.remove([name for name in store.sizes() if _PART.fullmatch(name)])
        raise
