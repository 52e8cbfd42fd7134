"""Gives a fitted model the covariance of its parameters, from the rows that it was fitted to."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.checks import parts_of_list
from gradstep.data.features.sparse_encoding import SparseEncoding
from gradstep.data.preparing.prepared import PreparedTable
from gradstep.data.roles import NO_CLUSTER
from gradstep.diagnostics.of_models import CLUSTERS, NO_STANDARD_ERRORS
from gradstep.engine.records import Outcome
from gradstep.errors import InvalidData, InvalidParameter, InvalidTable, nearest
from gradstep.figures import count
from gradstep.fit.rare_levels import notes_of_rare_levels
from gradstep.model.intervals import shared_directions
from gradstep.parameters import given

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from gradstep.diagnostics.diagnostic import Note
    from gradstep.fit.phases import Phases
    from gradstep.inference.record import Covariance
    from gradstep.model.model import Model
    from gradstep.rows.dataset import Dataset

__all__ = ["InferenceAsked", "infer", "inference_asked"]

_CLUSTER = "cluster"
_CHOICES = ("robust", "model", "none")
_OTHER_REASONS = {
    "none": "not asked for (inference='robust' has them)",
    "apart": "the classes can be separated, so that there is no optimum",
}
_MOST_PRODUCTS = 2e11  # of all rows' features: some ten seconds, which nobody has asked for


@dataclass(frozen=True)
class InferenceAsked:
    """Which standard errors are asked for.

    Attributes
    ----------
    kind : {"robust", "model", "none", "cluster"}
        The kind.
    clusters : tuple of str
        The columns that say which rows belong together.
    """

    kind: str
    clusters: tuple[str, ...] = ()

    def preparing(self, table: Any) -> dict[str, Any]:
        """Return the options by which a table is prepared; refuse one that was without them."""
        if not self.clusters:
            return {}
        if not isinstance(table, PreparedTable):
            return {"clusters": self.clusters}
        kept = table.meta["asked"].get("clusters", ())
        lost = [column for column in self.clusters if column not in kept]
        if lost:
            msg = (
                f"The prepared table does not say which rows have the same {lost[0]!r}: prepare it "
                f"with {given('clusters', self.clusters)}."
            )
            raise InvalidParameter(msg)
        return {}


def inference_asked(inference: Any) -> InferenceAsked:
    r"""Return which standard errors are asked for.

    Examples
    --------
    >>> inference_asked("cluster=customer,shop")
    InferenceAsked(kind='cluster', clusters=('customer', 'shop'))

    Raises
    ------
    InvalidParameter
        If there are none of that name.
    """
    if inference in _CHOICES:
        return InferenceAsked(inference)
    name, equals, columns = str(inference).partition("=")
    clusters = tuple(parts_of_list(columns))
    if name == _CLUSTER and clusters:
        return InferenceAsked(_CLUSTER, clusters)
    if name == _CLUSTER:
        msg = (
            f"inference={inference!r}: a column must say which rows belong together, as "
            "cluster=customer; or two of them, as cluster=customer,shop."
        )
        raise InvalidParameter(msg)
    kinds = ", ".join(map(repr, _CHOICES))
    close = "" if equals else nearest(name, [*_CHOICES, _CLUSTER])
    msg = f"inference={inference!r} must be one of {kinds}, or 'cluster=COLUMN'.{close}"
    raise InvalidParameter(msg)


def infer(
    model: Model, prepared: PreparedTable, found: Phases, asked: InferenceAsked, *, apart: bool
) -> list[Note]:
    """Give a model the covariance of its parameters; if none is valid, its provenance says why.

    Parameters
    ----------
    model : Model
        The fitted model.
    prepared : PreparedTable
        The rows.
    found : Phases
        The results of the fit to them.
    asked : InferenceAsked
        Which standard errors.
    apart : bool
        Whether the classes can be separated, so that there are none.

    Returns
    -------
    list of Note
        What a person should know.
    """
    kind = "apart" if apart and asked.kind != "none" else asked.kind
    model.covariance, why = _inferred(prepared, found, replace(asked, kind=kind))
    if why:
        model.provenance["no_inference"] = why
        quiet = asked.kind in {"robust", "none"}
        return [] if quiet else [NO_STANDARD_ERRORS.note(f"No standard errors: {why}.")]
    if asked.clusters:
        model.provenance["clusters"] = list(asked.clusters)
    assert model.covariance is not None  # noqa: S101
    notes = _notes_of(prepared, found, asked.clusters, model.covariance.clusters)
    if asked.kind != "model":  # which takes the spread of all rows for that of each level
        notes += notes_of_rare_levels(prepared, _parts(prepared, found).values())
    return notes


def _notes_of(
    prepared: PreparedTable, found: Phases, clusters: Sequence[str], counts: Sequence[int]
) -> list[Note]:
    """Return what a person should know of the columns that rows are clustered by."""
    from gradstep.inference.clusters import note_of_few

    notes = note_of_few(counts)
    for column in clusters:
        way = prepared.meta["asked"]["clusters"].index(column)
        missing = sum(
            int((keys[:, way] == NO_CLUSTER).sum()) for _, keys in _keyed(prepared, found)
        )
        if missing:
            rows = count(missing, "row has", "rows have")
            notes.append(CLUSTERS.note(f"{rows} no {column!r}: they count as one cluster."))
        if column in prepared.encoding.sources:
            notes.append(
                CLUSTERS.note(
                    f"Rows are clustered by {column!r}, which is a feature, too: "
                    f"{given('drop', [column])} "
                    "keeps it from being one."
                )
            )
    return notes


def _parts(prepared: PreparedTable, found: Phases) -> dict[str, Dataset]:
    """Return the rows that the model was fitted to, in one part or two."""
    parts = {"train": prepared.train}
    if found.refit is not None and prepared.validation is not None:
        parts["validation"] = prepared.validation
    return parts


def _keyed(prepared: PreparedTable, found: Phases) -> list[tuple[Dataset, NDArray[np.int64]]]:
    """Return the rows that the model was fitted to, in one part or two, and their keys."""
    keyed = []
    for part, data in _parts(prepared, found).items():
        keys = prepared.clusters.get(part)
        if keys is None:
            msg = (
                f"{prepared.folder} lacks {part}_clusters.npy: the prepared table is damaged. "
                "Delete the folder and prepare the table again."
            )
            raise InvalidTable(msg)
        keyed.append((data, keys if data.index is None else keys[data.index]))  # weight 0: no row
    return keyed


def _codes(
    prepared: PreparedTable, found: Phases, clusters: Sequence[str]
) -> list[NDArray[np.int64]]:
    """Return the cluster of each row that the model was fitted to, each way."""
    from gradstep.inference.clusters import numbered

    keys = [keys for _, keys in _keyed(prepared, found)] if clusters else []
    n = sum(map(len, keys))
    first = len(keys[0]) if keys else 0

    def between(way: int, lo: int, hi: int) -> NDArray[np.int64]:
        parts = [keys[0][lo:hi, way]]
        if hi > first:
            parts.append(keys[1][max(lo - first, 0) : hi - first, way])
        return np.concatenate(parts)

    ways = [prepared.meta["asked"]["clusters"].index(column) for column in clusters]
    return [numbered(partial(between, way), n) for way in ways]


def _inferred(
    prepared: PreparedTable, found: Phases, asked: InferenceAsked
) -> tuple[Covariance | None, str]:  # fmt: skip
    """Return the covariance, or None and why there is none."""
    if why := _why_not(prepared, found, asked.kind):
        return None, why
    from gradstep.engine.parts import Together  # these import Numba
    from gradstep.engine.statistics import columns_of
    from gradstep.inference.covariance import covariance_of

    codes = _codes(prepared, found, asked.clusters)
    data, shared = prepared.train, shared_directions(prepared.encoding)
    both: AbstractContextManager[Dataset] = nullcontext(data)
    if found.refit is not None and prepared.validation is not None:
        both = Together.of(data, prepared.validation)
    try:
        with both as rows:
            return covariance_of(
                found.problem, rows, found.params, columns_of(rows),
                "robust" if codes else asked.kind, codes, shared,
            ), ""  # fmt: skip
    except InvalidTable:  # it has changed while it was read
        raise
    except (InvalidData, InvalidParameter) as error:
        return None, str(error).removeprefix("No standard errors: ").rstrip(".")


def _why_not(prepared: PreparedTable, found: Phases, kind: str) -> str | None:
    """Return why no covariance is to be computed; None if one is."""
    from gradstep.inference.validity import why_not

    if kind in _OTHER_REASONS:
        return _OTHER_REASONS[kind]
    if found.outcome is Outcome.INTERRUPTED:
        return "the run was interrupted: train it to its end"
    if isinstance(prepared.encoding, SparseEncoding):
        return "sparse text has none"
    of = found.problem
    products = prepared.train.n * (of.n_features + 1) ** 2 * of.n_outputs**2
    why = why_not(of)
    if why is None and products > _MOST_PRODUCTS and kind == "robust":
        why = 'the rows are many: inference="model" takes less time'
    return why
