"""Gives a fitted model the covariance of its parameters, from the rows that it was fitted to."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from gradstep.data.features.sparse_encoding import SparseEncoding
from gradstep.engine.records import Outcome
from gradstep.errors import InvalidData, InvalidParameter
from gradstep.model.intervals import shared_directions

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from gradstep.data.preparing.prepared import PreparedTable
    from gradstep.fit.phases import Phases
    from gradstep.inference.covariance import Covariance
    from gradstep.model.model import Model
    from gradstep.rows.dataset import Dataset

__all__ = ["CHOICES", "check_inference", "infer"]

CHOICES = ("robust", "model", "none")
_OTHER_REASONS = {
    "none": "not asked for",
    "apart": "the classes can be separated, so that there is no optimum",
}
_MOST_PRODUCTS = 2e11  # of all rows' features: some ten seconds, which nobody has asked for


def check_inference(inference: Any) -> None:
    """Refuse an unknown kind of standard errors."""
    if inference not in CHOICES:
        kinds = ", ".join(map(repr, CHOICES))
        msg = (
            f"inference={inference!r} must be one of {kinds}. For clustered rows use the "
            "estimators' inference(X, y, clusters=...)."
        )
        raise InvalidParameter(msg)


def infer(model: Model, prepared: PreparedTable, found: Phases, kind: str) -> None:
    """Give a model the covariance of its parameters; if none is valid, its provenance says why.

    Parameters
    ----------
    model : Model
        The fitted model.
    prepared : PreparedTable
        The rows.
    found : Phases
        The results of the fit to them.
    kind : {"robust", "model", "none", "apart"}
        Which standard errors; "apart" means none, since the classes can be separated.
    """
    model.covariance, why = _inferred(prepared, found, kind)
    if why:
        model.provenance["no_inference"] = why


def _inferred(
    prepared: PreparedTable, found: Phases, kind: str
) -> tuple[Covariance | None, str]:  # fmt: skip
    """Return the covariance, or None and why there is none."""
    if why := _why_not(prepared, found, kind):
        return None, why
    from gradstep.engine.parts import Together  # these import Numba
    from gradstep.engine.statistics import columns_of
    from gradstep.inference.covariance import covariance_of

    data, shared = prepared.train, shared_directions(prepared.encoding)
    both: AbstractContextManager[Dataset] = nullcontext(data)
    if found.refit is not None and prepared.validation is not None:
        both = Together.of(data, prepared.validation)
    try:
        with both as rows:
            return covariance_of(
                found.problem, rows, found.params, columns_of(rows), kind, shared=shared
            ), ""
    except (InvalidData, InvalidParameter) as error:
        return None, str(error).removeprefix("No standard errors: ").rstrip(".")


def _why_not(prepared: PreparedTable, found: Phases, kind: str) -> str | None:
    """Return why no covariance is to be computed; None if one is."""
    from gradstep.inference.validity import why_not

    if kind in _OTHER_REASONS:
        return _OTHER_REASONS[kind]
    if found.outcome is Outcome.INTERRUPTED:
        return "the run was interrupted"
    if isinstance(prepared.encoding, SparseEncoding):
        return "sparse text has none"
    of = found.problem
    products = prepared.train.n * (of.n_features + 1) ** 2 * of.n_outputs**2
    why = why_not(of)
    if why is None and products > _MOST_PRODUCTS and kind == "robust":
        why = "the rows are many: --inference model takes less time"
    return why
