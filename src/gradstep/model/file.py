"""The model on disk: one safetensors file, whose header holds the rest as JSON.

Reading one never runs code. The header's ``gradstep`` entry carries the format version, the
encoding, the classes, the loss by name and numbers, and the provenance, and a checksum of all this
and of the numbers. What else stands in the header, names, types and shapes, has one form that is
required: nothing of a file may change unseen. Nothing is made of a header before each part of it
is known to be what `save` writes, so a file asks for no more memory than it has bytes.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.data.from_json import MISSTATED, is_text, record
from gradstep.data.preparing.prepared import encoding_of
from gradstep.data.roles import Target
from gradstep.errors import InvalidModel, InvalidParameter
from gradstep.files import writing_file
from gradstep.model.model import Model
from gradstep.model.training_rows import TrainingRows
from gradstep.objective import classification, regression
from gradstep.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["load", "save"]

FORMAT = 2  # 1 had nothing of the training rows
_READ = (1, FORMAT)
_ENTRY, _CHECKSUM = "gradstep", "sha256"
_TENSOR, _DTYPE = "params", "F64"  # the only tensor, in one dimension


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


def _checksum(content: Mapping[str, Any], params: NDArray[np.float64]) -> str:
    data = json.dumps(content).encode() + np.ascontiguousarray(params).tobytes()
    return hashlib.sha256(data).hexdigest()


def save(model: Model, path: str | Path) -> None:
    """Write a model to a file; an existing one is replaced, at once or not at all.

    Raises
    ------
    CannotWrite
        If the file cannot be written.
    """
    from safetensors.numpy import save as to_bytes

    # an estimator of tables, or one that was fitted on a prepared table
    model = getattr(model, "model_", getattr(model, "_model", model))
    if not isinstance(model, Model):
        msg = (
            f"{type(model).__name__} cannot be saved here: save takes a Model, or an estimator "
            "that was fitted on a prepared table. Pickle others, as scikit-learn's are."
        )
        raise InvalidParameter(msg)

    content = {
        "format": FORMAT,
        "version": VERSION,
        "encoding": model.encoding.to_json(),
        "target": model.target.to_json(),
        "loss": _loss_to_json(model.loss),
        "offset": model.offset,
        "exposure": model.exposure,
        "training": None if model.training is None else model.training.to_json(),
        "provenance": model.provenance,
    }
    entry = json.dumps({**content, _CHECKSUM: _checksum(content, model.params)})
    # one entry: the order of several is chance, and the same model is the same file
    data = to_bytes({_TENSOR: model.params}, metadata={_ENTRY: entry})
    with writing_file(path) as file:
        file.write(data)


def load(path: str | Path) -> Model:
    """Read a model from a file.

    Raises
    ------
    InvalidModel
        If there is none, or it is damaged, or of a newer version.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        msg = f"{path} does not exist." if not path.exists() else f"{path} is no file."
        raise InvalidModel(msg)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata, names = file.metadata() or {}, list(file.keys())
            ours = set(metadata) == {_ENTRY} and names == [_TENSOR]
            dtype = file.get_slice(_TENSOR).get_dtype() if ours else ""
            params = file.get_tensor(_TENSOR) if dtype == _DTYPE else None
    except (SafetensorError, OSError, ValueError) as error:
        msg = f"{path} is no model of gradstep, or a damaged one: {error}."
        raise InvalidModel(msg) from error
    if not ours:
        msg = f"{path} is a safetensors file, but not one that gradstep wrote."
        raise InvalidModel(msg)
    if params is None:
        msg = f"{path} is damaged: its numbers are of type {dtype}, where {_DTYPE} is written."
        raise InvalidModel(msg)
    try:
        content = json.loads(metadata[_ENTRY])
        version, wrote = content["format"], content.get("version", "?")
        known = content.pop(_CHECKSUM, None)
        found = _checksum(content, params)
    except MISSTATED as error:
        msg = f"{path} is damaged: its header cannot be read ({error})."
        raise InvalidModel(msg) from error
    if version not in _READ:
        msg = (
            f"{path} has model format {version!r}, and this version of gradstep "
            f"({VERSION}) reads formats up to {FORMAT}. Install gradstep {wrote}, which "
            "wrote it, or newer."
        )
        raise InvalidModel(msg)
    if known != found:
        msg = (
            f"{path} is damaged: its checksum differs from the one that gradstep {wrote} wrote. "
            "Train the model again, or restore the file."
        )
        raise InvalidModel(msg)
    try:
        model = _model_of(content, params)
        expected = model.n_outputs * (model.encoding.n_features + 1)
    except MISSTATED as error:
        msg = f"{path} is damaged: its header lacks or misstates something ({error})."
        raise InvalidModel(msg) from error
    if model.params.shape != (expected,) or not np.isfinite(model.params).all():
        msg = f"{path} is damaged: it should hold {expected} finite parameters."
        raise InvalidModel(msg)
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
    return Model(encoding, target, loss, params, offset, provenance, training=training,
                 exposure=exposure)  # fmt: skip
