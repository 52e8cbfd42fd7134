"""From the parameters of a fit to the model of a table, and what it keeps of its rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gradstep.model.evaluation import without_class_weights
from gradstep.model.model import Model
from gradstep.model.training_rows import training_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gradstep.data.preparing.prepared import PreparedTable
    from gradstep.fit.phases import Phases
    from gradstep.model.training_rows import TrainingRows

__all__ = ["model_of", "models_of", "training_of"]


def model_of(prepared: PreparedTable, loss: Any, params: NDArray[np.float64]) -> Model:
    """Return the model with these parameters."""
    asked = prepared.meta["asked"]
    return Model(
        prepared.encoding, prepared.target, loss, params, asked.get("offset"),
        exposure=asked.get("exposure"),
    )  # fmt: skip


def models_of(prepared: PreparedTable, loss: Any, found: Phases) -> tuple[Model, Model]:
    """Return the model that is judged, and the one that is written: of all rows, or the same."""
    judged = model_of(prepared, loss, found.judged.params)
    of = found.judged.problem.loss
    same = "class_weights" not in prepared.meta and type(of) is type(judged.loss)
    same = same and of == judged.loss
    judged.training = training_of(judged, prepared, constant=found.constant if same else None)
    if found.refit is None:
        return judged, judged
    model = model_of(prepared, loss, found.params)
    model.training = training_of(model, prepared, all_rows=True)
    return judged, model


def training_of(
    model: Model, prepared: PreparedTable, *, all_rows: bool = False,
    constant: NDArray[np.float64] | None = None,
) -> TrainingRows:  # fmt: skip
    """Return what a model is to keep of the rows that it was trained on: also those held out.

    The best constant prediction is found here unless it is known.
    """
    k, p = model.n_outputs, model.encoding.n_features
    coef = model.params[: k * p].reshape(k, p)
    if constant is None:
        constant = _constant_of(model, prepared, all_rows=all_rows)
    return training_rows(model.encoding, prepared.train, coef, constant)


def _constant_of(model: Model, prepared: PreparedTable, *, all_rows: bool) -> NDArray[np.float64]:
    """Return the scores of the best constant prediction, of what is predicted."""
    from gradstep.engine.baseline import best_constant  # these import Numba
    from gradstep.engine.parts import together

    sample = prepared.train.sample()
    plain = sample.without_features()
    if all_rows and sample is prepared.train:
        assert prepared.validation is not None  # noqa: S101
        plain = together([plain, prepared.validation.without_features()])
    if "class_weights" in prepared.meta:  # what is predicted is told of rows as they are
        weight = without_class_weights(
            prepared.meta["class_weights"], plain.sample_weight, plain.y[:, 0]
        )
        plain = replace(plain, sample_weight=weight)
    return best_constant(model.loss, plain, model.n_outputs)
