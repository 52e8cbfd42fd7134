"""`gradstep.prepare`: a table of any size becomes what training reads, here or on a cluster."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from gradstep.data.features.terms.formula import with_formula
from gradstep.data.preparing.checks import check_range
from gradstep.data.preparing.prepare import DEFAULT_MEMORY
from gradstep.data.preparing.prepare import prepare as prepare_by
from gradstep.data.preparing.prepared import PreparedTable
from gradstep.data.sources.svmlight import LABEL, is_svmlight
from gradstep.errors import InvalidParameter
from gradstep.fit.choose_terms import choosing
from gradstep.fit.components import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    loss_for,
    loss_of,
)
from gradstep.model.by_pieces import run_on_pieces
from gradstep.objective.losses import is_of_classes, takes_offset, variance_power

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from gradstep.data.preparing.options import Each, InOnePass, Progress

__all__ = [
    "each_on",
    "log_power_of",
    "loss_of_target",
    "prepare",
    "prepared_of",
    "preparing_for",
]


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
        Folder to write to, or its address in an object store (``s3://``), which must not exist; it
        opens again with `gradstep.open_prepared`.
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
        or `cache`) are found under the same path by all, or `out` is an address in an object
        store. The folder is the same byte for byte.
    allow_mixed : bool
        Whether workers may compute with other versions or processors; bits may differ then.
    watch : callable, optional
        Called with (tasks done, tasks in all) of the cluster.
    **options
        What `PrepareOptions` describes: `task`, `sample_weight` and `offset` (columns),
        `clusters` (one or two columns, for `inference="cluster=..."`), `time_column`, `drop`,
        `only`, `kinds`, `max_levels`, `validation`, `missing`, `missing_target`, `random_state` (a
        whole number), `decimal`, `thousands`, `na`, `encoding`; and terms: `splines` (columns, or a
        dict with their knots), `crosses` (pairs of columns), `polynomials` (a dict of columns with
        their powers), `logs` (columns); or all of them, and `only`, by a `formula` such as
        "price ~ bs(carat) + color*clarity".

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
        if given.get("exposure") is not None and found["log_power"] is None:
            what = "no loss is given" if loss is None else f"the loss is {loss!r}"
            msg = (
                f"The exposure {given['exposure']!r} multiplies predictions, as counts and costs "
                f"have it, and {what}. Give loss='poisson', gamma or tweedie, or let the column "
                "be an offset, which is added to the score."
            )
            raise InvalidParameter(msg)
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


def loss_of_target(loss: Any, numbers: Mapping[str, float], prepared: PreparedTable) -> Any:
    """Return the loss, by default that of the target; refuse targets that are not in its range."""
    known, default = (
        (REGRESSION_LOSSES, "squared_error")
        if prepared.target.classes is None
        else (CLASSIFICATION_LOSSES, "log_loss")
    )
    component = loss_for(
        loss_of(default if loss is None else loss, numbers, known), prepared.target
    )
    check_range(component, prepared.target, prepared.train, prepared.validation)
    return component


def prepared_of(
    table: Any, target: str | None, loss: Any, options: Mapping[str, Any], each: Each | None,
    in_one_pass: InOnePass | None = None,
) -> PreparedTable:  # fmt: skip
    """Return a table as a fit of this loss reads it; one that is prepared already as it is."""
    target, options = with_formula(target, options)
    if isinstance(table, PreparedTable):
        if options:
            msg = f"The table is prepared already: {', '.join(options)} would change nothing."
            raise InvalidParameter(msg)
        if target not in {None, table.target.column}:
            msg = f"The table was prepared for the target {table.target.column!r}, not {target!r}."
            raise InvalidParameter(msg)
        was = table.meta["asked"]
        shift = was.get("offset") or was.get("exposure")
        if shift is not None and log_power_of(loss) != was.get("log_power"):
            msg = (
                f"The offset {shift!r} became part of the rows when the table was "
                "prepared, for another loss. Give the same loss both times (loss=... of prepare)."
            )
            raise InvalidParameter(msg)
        return table
    if target is None and is_svmlight(table):
        target = LABEL
    if target is None:
        msg = "A target is needed: the column to predict."
        raise InvalidParameter(msg)
    options = {**options, **preparing_for(loss, options)}
    return prepare_by(table, target, each=each, in_one_pass=in_one_pass, **options)
