"""`gradstep.prepare`: a table of any size becomes what training reads, here or on a cluster."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from gradstep.data.features.terms.formula import with_formula
from gradstep.data.preparing.prepare import DEFAULT_MEMORY
from gradstep.data.preparing.prepare import prepare as prepare_by
from gradstep.errors import InvalidParameter
from gradstep.fit.choose_terms import choosing
from gradstep.model.by_pieces import run_on_pieces
from gradstep.objective.losses import is_of_classes, takes_offset, variance_power

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from gradstep.data.preparing.options import Each, Progress
    from gradstep.data.preparing.prepared import PreparedTable

__all__ = ["each_on", "log_power_of", "prepare", "preparing_for"]


def each_on(
    client: Any, *, allow_mixed: bool = False, watch: Callable[[int, int], None] | None = None
) -> Each | None:
    """Return what runs a task on each piece of a table on a cluster; None without one."""
    if client is None:
        return None
    return partial(run_on_pieces, client=client, allow_mixed=allow_mixed, watch=watch)


def prepare(
    table: Any,
    target: str | None = None,
    *,
    out: str | Path | None = None,
    memory: int = DEFAULT_MEMORY,
    validation_table: Any = None,
    progress: Progress | None = None,
    cache: bool | str | Path = False,
    client: Any = None,
    allow_mixed: bool = False,
    watch: Callable[[int, int], None] | None = None,
    **options: Any,
) -> PreparedTable:
    """Turn a table of any size into what training reads: encoded, shuffled, measured.

    Parameters
    ----------
    table : path, glob, folder, frame or query
        The table (`gradstep.data.sources.opening.open_table` says what may be one).
    target : str
        The column to predict, unless a formula says it. Rows where it is missing are dropped,
        and counted.
    out : path, optional
        Folder to write to, which must not exist; it opens again with `gradstep.open_prepared`.
    memory : int, default=1 GB
        Bytes that the encoded rows may take in memory; larger ones go to a folder, a temporary
        one unless `out` is given. No bit depends on it.
    validation_table : table, optional
        Rows to validate on, instead of a share of the table.
    progress : callable, optional
        Called with ("reading" or "encoding", rows so far).
    cache : bool or path, default=False
        Keep the folder in the user's cache, or in a folder of one's own, and use the one that
        lies there if neither the files nor the options have changed.
    client : distributed.Client, optional
        A Dask cluster whose workers read and write, a task a file; the files and the folder (`out`
        or `cache`) are found under the same path by all. The folder is the same byte for byte.
    allow_mixed : bool
        Whether workers may compute with other versions or processors; bits may differ then.
    watch : callable, optional
        Called with (tasks done, tasks in all) of the cluster.
    **options
        What `PrepareOptions` describes: `task`, `sample_weight` and `offset` (columns),
        `time_column`, `drop`, `only`, `kinds`, `max_levels`, `validation`, `missing`,
        `missing_target`, `random_state` (a whole number), `decimal`, `thousands`, `na`,
        `encoding`; and terms: `splines` (columns, or a dict with their knots), `crosses` (pairs of
        columns), `polynomials` (a dict of columns with their powers), `logs` (columns); or all of
        them, and `only`, by a `formula` such as "price ~ bs(carat) + color*clarity".

    Returns
    -------
    PreparedTable
        Takes the place of X and y in an estimator's `fit`.

    Raises
    ------
    InvalidTable
        If the table or a column cannot be used; the message says where and why.
    CannotWrite
        If the folder cannot be written; nothing is left behind.

    Examples
    --------
    >>> import polars as pl
    >>> import gradstep
    >>> frame = pl.DataFrame(
    ...     {"x": [1.0, 2.0, 3.0, 4.0], "colour": ["red", "blue"] * 2, "y": [1.0, 2.5, 3.0, 4.5]}
    ... )
    >>> prepared = gradstep.prepare(frame, "y", validation=0.0)
    >>> prepared
    <PreparedTable: 4 rows to train on, 0 held out, 3 features, target 'y'>
    >>> prepared.feature_names
    ['x', 'colour=blue', 'colour=red']
    """
    target, options = with_formula(target, options)
    if target is None:
        msg = "A target is needed: the column to predict."
        raise InvalidParameter(msg)
    return prepare_by(
        table, target, out=out, memory=memory, validation_table=validation_table,
        progress=progress, cache=cache,
        each=each_on(client, allow_mixed=allow_mixed, watch=watch),
        **(choosing(None, options) | options),
    )  # fmt: skip


def preparing_for(loss: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a loss asks of `gradstep.prepare`: task, how an offset acts, what chooses terms.

    Parameters
    ----------
    loss : Loss or None
        The loss.
    given : mapping
        Options that are given already: a task stays, and without an offset none acts.
    """
    found: dict[str, Any] = {}
    of_classes = is_of_classes(loss)
    if of_classes is not None and given.get("task", "auto") == "auto":
        found["task"] = "classification" if of_classes else "regression"
    if given.get("offset") is not None or given.get("exposure") is not None:
        found["log_power"] = log_power_of(loss)
    return found | choosing(loss, given)


def log_power_of(loss: Any) -> float | None:
    """Return the power of the variance of a loss whose link is the logarithm; None of others."""
    if not takes_offset(loss):
        msg = (
            f"How an offset acts on {loss!r} is not known: its predictions are neither the scores "
            "nor, with a variance_power(), their exponentials."
        )
        raise InvalidParameter(msg)
    return variance_power(loss)
