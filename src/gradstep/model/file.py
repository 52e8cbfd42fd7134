"""The model on disk: one safetensors file, whose header holds the rest as JSON.

Reading one never runs code. The header's ``gradstep`` entry carries the format version, the
encoding, the classes, the loss by name and numbers, and the provenance.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import gradstep
from gradstep.data.preparing.prepared import encoding_of
from gradstep.data.roles import Target
from gradstep.errors import InvalidModel, InvalidParameter
from gradstep.files import writing
from gradstep.model.model import Model
from gradstep.objective import classification, regression

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["load", "save"]

FORMAT = 1
_ENTRY, _CHECKSUM = "gradstep", "sha256"


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


def _loss_from_json(told: Mapping[str, Any]) -> Any:
    fields = dict(told)
    name = fields.pop("name")
    for home in (regression, classification):
        if name in home.__all__:
            kind = getattr(home, name)
            return kind(**{
                k: _loss_from_json(v) if isinstance(v, dict) else v for k, v in fields.items()
            })  # fmt: skip
    msg = f"the loss {name!r} is not known"
    raise ValueError(msg)


def _checksum(told: Mapping[str, Any], params: NDArray[np.float64]) -> str:
    content = json.dumps(told).encode() + np.ascontiguousarray(params).tobytes()
    return hashlib.sha256(content).hexdigest()


def save(model: Model, path: str | Path) -> None:
    """Write a model to a file; an existing one is replaced, at once or not at all.

    Raises
    ------
    CannotWrite
        If the file cannot be written.
    """
    from safetensors.numpy import save as to_bytes

    model = getattr(model, "_model", model)  # an estimator that was fitted on a prepared table
    if not isinstance(model, Model):
        msg = (
            f"{type(model).__name__} cannot be saved here: save takes a Model, or an estimator "
            "that was fitted on a prepared table. Pickle others, as scikit-learn's are."
        )
        raise InvalidParameter(msg)

    told = {
        "format": FORMAT,
        "version": gradstep.__version__,
        "encoding": model.encoding.to_json(),
        "target": model.target.to_json(),
        "loss": _loss_to_json(model.loss),
        "offset": model.offset,
        "provenance": model.provenance,
    }
    entry = json.dumps({**told, _CHECKSUM: _checksum(told, model.params)})
    # one entry: the order of several is chance, and the same model is the same file
    content = to_bytes({"params": model.params}, metadata={_ENTRY: entry})
    with writing(Path(path)) as part:
        part.write_bytes(content)


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
            entry = (file.metadata() or {}).get(_ENTRY)
            params = file.get_tensor("params") if "params" in file.keys() else None  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        msg = f"{path} is no model of gradstep, or a damaged one: {error}."
        raise InvalidModel(msg) from error
    if entry is None or params is None:
        msg = f"{path} is a safetensors file, but not one that gradstep wrote."
        raise InvalidModel(msg)
    try:
        told = json.loads(entry)
        version, wrote = told["format"], told.get("version", "?")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        msg = f"{path} is damaged: its header cannot be read ({error})."
        raise InvalidModel(msg) from error
    if version != FORMAT:
        msg = (
            f"{path} has model format {version!r}, and this version of gradstep "
            f"({gradstep.__version__}) reads format {FORMAT}. Install gradstep {wrote}, which "
            "wrote it, or newer."
        )
        raise InvalidModel(msg)
    if told.pop(_CHECKSUM, None) != _checksum(told, params):
        msg = (
            f"{path} is damaged: its checksum differs from the one that gradstep {wrote} wrote. "
            "Train the model again, or restore the file."
        )
        raise InvalidModel(msg)
    try:
        encoding = encoding_of(told["encoding"])
        model = Model(
            encoding, Target.from_json(told["target"]), _loss_from_json(told["loss"]),
            np.asarray(params, np.float64), told["offset"], told["provenance"],
        )  # fmt: skip
        expected = model.n_outputs * (encoding.n_features + 1)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        msg = f"{path} is damaged: its header lacks or misstates something ({error})."
        raise InvalidModel(msg) from error
    if model.params.shape != (expected,) or not np.isfinite(model.params).all():
        msg = f"{path} is damaged: it should hold {expected} finite parameters."
        raise InvalidModel(msg)
    return model
