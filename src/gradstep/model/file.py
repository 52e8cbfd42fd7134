"""The model on disk: one safetensors file, whose header holds the rest as JSON.

Reading one never runs code. The header's ``gradstep`` entry carries the format version, the
encoding, the classes, the loss by name and numbers, and the provenance, and a checksum of all this
and of the numbers. What else stands in the header, names, types and shapes, has one form that is
required: nothing of a file may change unseen. Nothing is made of a header before each part of it
is known to be what `save` writes, so a file asks for no more memory than it has bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.data.from_json import is_text, record
from gradstep.data.preparing.prepared import encoding_of
from gradstep.data.roles import Target
from gradstep.errors import InvalidModel, InvalidParameter
from gradstep.inference.stored import from_stored, stored
from gradstep.model.model import Model
from gradstep.model.training_rows import TrainingRows
from gradstep.objective import classification, regression
from gradstep.tensor_file import MISSTATED, TensorFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["load", "save"]

_TENSOR, _COVARIANCE = "params", "covariance"  # in one dimension; the second may be missing
_FILE = TensorFile(
    noun="model",
    entry="gradstep",
    forms=(1, 2, 3),
    dtypes=frozenset({"F64"}),
    error=InvalidModel,
    otherwise="Train the model again, or restore the file.",
)  # fmt: skip  (1 had nothing of the training rows; 3 may have terms and a covariance)


def _loss_to_json(loss: Any) -> dict[str, Any]:
    if not type(loss).__module__.startswith("gradstep."):
        msg = (
            f"A model with the loss {loss!r} cannot be saved: the file would need its code. "
            "Use a loss of gradstep."
        )
        raise InvalidParameter(msg)
    fields = {
        name: _loss_to_json(part) if isinstance(part, tuple) else part
        for name, part in loss._asdict().items()
    }
    return {"name": type(loss).__name__, **fields}


def _loss_from_json(content: Mapping[str, Any]) -> Any:
    fields = {k: _loss_from_json(v) if isinstance(v, dict) else v for k, v in content.items()}
    name = fields.pop("name")
    for home in (regression, classification):
        kind = getattr(home, name) if name in home.__all__ else None
        if isinstance(kind, type):
            return record(kind, fields)
    msg = f"the loss {name!r:.60} is not known"
    raise ValueError(msg)


def save(model: Model, path: str | Path) -> None:
    """Write a model to a file; an existing one is replaced, at once or not at all.

    Parameters
    ----------
    model : Model
        The model of a table, or an estimator that was fitted on one.
    path : str or path
        Where to; by custom it ends in ``.safetensors``.

    Raises
    ------
    CannotWrite
        If the file cannot be written.

    See Also
    --------
    load : Reads it.
    """
    # an estimator of tables, or one that was fitted on a prepared table
    model = getattr(model, "model_", getattr(model, "_model", model))
    if not isinstance(model, Model):
        msg = (
            f"{type(model).__name__} cannot be saved here: save takes a Model, or an estimator "
            "that was fitted on a prepared table. Pickle others, as scikit-learn's are."
        )
        raise InvalidParameter(msg)

    content = {
        "format": 3
        if model.encoding.has_terms or model.covariance is not None
        else 2,  # as many as can are to read it
        "encoding": model.encoding.to_json(),
        "target": model.target.to_json(),
        "loss": _loss_to_json(model.loss),
        "offset": model.offset,
        "exposure": model.exposure,
        **({} if model.threshold == 0.5 else {"threshold": model.threshold}),
        "training": None if model.training is None else model.training.to_json(),
        "provenance": model.provenance,
    }
    arrays = {_TENSOR: model.params}
    if model.covariance is not None:
        content["inference"], arrays[_COVARIANCE] = stored(model.covariance)
    _FILE.write(path, content, arrays)


def load(path: str | Path) -> Model:
    """Read a model from a file, which runs no code.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    Model
        The model.

    Raises
    ------
    InvalidModel
        If there is none, or it is damaged, or of a newer version.

    Examples
    --------
    >>> import tempfile
    >>> import polars as pl
    >>> import gradstep
    >>> fares = [5.0, 8.5, 12.5, 6.0, 7.5, 13.5] * 10
    >>> trips = pl.DataFrame({"km": [1.0, 2.0, 4.0] * 20, "fare": fares})
    >>> model = gradstep.fit_table(trips, "fare").model
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     gradstep.save(model, f"{folder}/fare.safetensors")
    ...     read = gradstep.load(f"{folder}/fare.safetensors")
    >>> read.predict(pl.DataFrame({"km": [10.0]})).round(1)
    array([28.])
    """
    content, arrays = _FILE.read(path, frozenset({_TENSOR}), frozenset({_COVARIANCE}))
    try:
        model = _model_of(content, arrays[_TENSOR])
        expected = model.n_outputs * (model.encoding.n_features + 1)
    except MISSTATED as error:
        raise _FILE.misstated(path, error) from error
    if model.params.shape != (expected,) or not np.isfinite(model.params).all():
        msg = f"{path} is damaged: it should hold {expected} finite parameters."
        raise InvalidModel(msg)
    if (content.get("inference") is None) == (_COVARIANCE in arrays):
        msg = f"{path} is damaged: its standard errors lack a half."
        raise InvalidModel(msg)
    if _COVARIANCE in arrays:
        try:
            model.covariance = from_stored(
                content["inference"], arrays[_COVARIANCE], _lines_of(model),
                joint=isinstance(model.loss, classification.Softmax),
            )  # fmt: skip
        except MISSTATED as error:
            raise _FILE.misstated(path, error) from error
    return model


def _model_of(content: Mapping[str, Any], params: NDArray[np.float64]) -> Model:
    """Return the model that a header describes, once each part is known to fit the others."""
    target, loss = Target.from_json(content["target"]), _loss_from_json(content["loss"])
    if hasattr(loss, "row_slopes") != (target.n_outputs > 1):
        msg = f"the loss {loss!r:.60} is not one of {target.n_outputs} scores"
        raise ValueError(msg)
    offset, provenance = content["offset"], content["provenance"]
    exposure = content.get("exposure")
    named = all(column is None or is_text(column) for column in (offset, exposure))
    if not named or not isinstance(provenance, dict):
        msg = "offset and exposure are names or nothing, and provenance has fields"
        raise ValueError(msg)
    encoding, kept = encoding_of(content["encoding"]), content.get("training")
    training = None
    if kept is not None:
        training = TrainingRows.from_json(kept, encoding, target.n_outputs)
    model = Model(encoding, target, loss, params, offset, provenance, training=training,
                  exposure=exposure)  # fmt: skip
    return model.with_threshold(content["threshold"]) if "threshold" in content else model


def _lines_of(model: Model) -> NDArray[np.float64]:
    """Return the parameters with a line for each output, the intercept last."""
    k, p = model.n_outputs, model.encoding.n_features
    w, b = model.params[: k * p].reshape(k, p), model.params[k * p :]
    return np.concatenate([w, b[:, None]], axis=1)
