"""What a model file may claim: only what its bytes bear out, whoever wrote its checksum."""

from __future__ import annotations

import hashlib
import json
import struct
import tracemalloc

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save as to_bytes

from gradstep import InvalidModel, Model, load, save
from gradstep.data.features.encoding import Encoding, HashColumn, LevelColumn, NumberColumn
from gradstep.data.preparing.prepared import Target
from gradstep.objective.classification import LogLoss

NUMBER = {"kind": "NumberColumn", "source": "x", "mean": 1.0, "scale": 2.0,
          "indicator": False, "part": ""}  # fmt: skip
LEVELS = {"kind": "LevelColumn", "source": "c", "levels": ["a", "b"], "other": True,
          "missing": False, "part": ""}  # fmt: skip
HASH = {"kind": "HashColumn", "source": "id", "bits": 2}


@pytest.fixture
def path(tmp_path):
    """A model of every kind of column."""
    columns = (
        NumberColumn("x", 1.0, 2.0),
        LevelColumn("c", ("a", "b"), other=True),
        HashColumn("id", 2),
    )
    model = Model(Encoding(columns), Target("y", ("no", "yes")), LogLoss(), np.arange(9.0))
    save(model, tmp_path / "m")
    return tmp_path / "m"


def entry_of(path):
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["gradstep"])


def forge(path, params=None, **changes):
    """Write the file anew with other content, and the checksum that belongs to it."""
    params = np.arange(9.0) if params is None else params
    told = {k: v for k, v in (entry_of(path) | changes).items() if k != "sha256"}
    digest = hashlib.sha256(json.dumps(told).encode() + params.tobytes()).hexdigest()
    entry = json.dumps({**told, "sha256": digest})
    path.write_bytes(to_bytes({"params": params}, metadata={"gradstep": entry}))


def refused(path, says="is damaged"):
    tracemalloc.start()
    try:
        with pytest.raises(InvalidModel, match=says) as caught:
            load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value)
    assert peak < 20 * path.stat().st_size + 1_000_000


def test_what_save_wrote_is_forged_to_itself(path):
    before = path.read_bytes()
    forge(path)
    assert path.read_bytes() == before
    assert load(path).params.tolist() == list(range(9))


class TestNumbers:
    def test_of_another_type_in_the_same_bytes(self, path):
        """The checksum is of bytes: as whole numbers they would be some 4.6e18."""
        content = path.read_bytes()
        for dtype in (b"I64", b"U64"):
            path.write_bytes(content.replace(b'"F64"', b'"' + dtype + b'"'))
            refused(path, f"numbers are of type {dtype.decode()}, where F64 is written")

    @pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int64, np.uint8, np.bool_])
    def test_of_another_type(self, path, dtype):
        forge(path, np.arange(9).astype(dtype))
        refused(path, "where F64 is written")

    @pytest.mark.parametrize("shape", [(1, 9), (9, 1), (3, 3), (8,), (10,), ()])
    def test_of_another_shape(self, path, shape):
        forge(path, np.ones(shape))
        refused(path, "it should hold 9 finite parameters")

    def test_others_besides(self, path):
        entry = json.dumps(entry_of(path))
        tensors = {"params": np.arange(9.0), "more": np.zeros(3)}
        path.write_bytes(to_bytes(tensors, metadata={"gradstep": entry}))
        refused(path, "not one that gradstep wrote")
        path.write_bytes(to_bytes({"params": np.arange(9.0)}, {"gradstep": entry, "more": "x"}))
        refused(path, "not one that gradstep wrote")


class TestHeader:
    @pytest.mark.parametrize(
        "column",
        [
            {**LEVELS, "other": 100_000_000},
            {**LEVELS, "missing": 2},
            {**LEVELS, "other": 1.0},
            {**LEVELS, "levels": "ab"},
            {**LEVELS, "levels": ["a", "a"]},
            {**LEVELS, "levels": ["a", None]},
            {**LEVELS, "levels": ["a", "\ud800"]},
            {**LEVELS, "part": "month"},
            {**HASH, "bits": 10_000_000_000},
            {**HASH, "bits": 1e10},
            {**HASH, "bits": 62},
            {**HASH, "bits": -1},
            {**HASH, "bits": True},
            {**HASH, "source": 3},
            {**NUMBER, "scale": 0.0},
            {**NUMBER, "scale": float("nan")},
            {**NUMBER, "mean": "1"},
            {**NUMBER, "mean": 10**400},
            {**NUMBER, "indicator": 7},
            {**NUMBER, "more": 1},
            {"kind": "NumberColumn", "source": "x"},
            {"kind": "Encoding", "columns": []},
            {"kind": ["NumberColumn"]},
            [],
        ],
        ids=lambda value: str(value)[:60],
    )
    def test_a_column_that_cannot_be(self, path, column):
        others = entry_of(path)["encoding"]["columns"]
        forge(path, encoding={"columns": [column, *others], "single": False})
        refused(path, "its header lacks or misstates something")

    def test_more_features_than_indices(self, path):
        many = [{**HASH, "bits": 24, "source": f"column {at}"} for at in range(128)]
        forge(path, encoding={"columns": many, "single": False})
        refused(path, "2,147,483,648 features are more than")

    @pytest.mark.parametrize("width", [-1, 0, 1 << 31, 10**30, 1e6, True, "3", None])
    def test_a_sparse_models_width(self, path, width):
        """-1 features and an intercept are no parameters at all: what was read lay elsewhere."""
        forge(path, np.empty(0), encoding={"sparse": width, "columns": []})
        refused(path, "its header lacks or misstates something")

    @pytest.mark.parametrize(
        "classes",
        [
            [], ["a"], ["a", "a"], ["b", "a"], [1, "a"], [True, 2], [[], []], "ab", 3,
            {"a": 1, "b": 2}, [None, None], [1.0, float("inf")], [1, 10**400], ["a", "\ud800"],
        ],
        ids=lambda value: str(value)[:60],
    )  # fmt: skip
    def test_classes(self, path, classes):
        forge(path, target={"column": "y", "classes": classes})
        refused(path, "its header lacks or misstates something")

    @pytest.mark.parametrize(
        "loss",
        [
            {"name": "Softmax"},  # of three classes or more
            {"name": "OneVsRest", "loss": {"name": "Hinge"}},
            {"name": "class_probabilities", "loss": 1, "z": 2},  # a function
            {"name": "Huber", "epsilon": "0.1"},
            {"name": "Huber", "epsilon": {"name": "Hinge"}},
            {"name": "Huber", "epsilon": True},
            {"name": "Huber", "delta": 1.0},
            {"name": "Pinball", "quantile": 10**400},
            {"name": 3},
        ],
        ids=lambda value: str(value)[:60],
    )
    def test_a_loss(self, path, loss):
        forge(path, loss=loss)
        refused(path, "its header lacks or misstates something")

    @pytest.mark.parametrize(
        "loss",
        [
            {"name": "LogLoss"},
            {"name": "OneVsRest", "loss": {"name": "Softmax"}},
            {"name": "OneVsRest", "loss": {"name": "OneVsRest", "loss": {"name": "Hinge"}}},
            {"name": "OneVsRest", "loss": 3},
        ],
        ids=lambda value: str(value)[:60],
    )
    def test_a_loss_of_three_classes(self, path, loss):
        forge(path, np.zeros(27), target={"column": "y", "classes": [1, 2, 3]}, loss=loss)
        refused(path, "its header lacks or misstates something")

    @pytest.mark.parametrize(
        "change", [{"offset": 3}, {"offset": "\ud800"}, {"provenance": []}, {"provenance": None},
                   {"target": {"column": 3, "classes": None}}],
        ids=lambda value: str(value)[:60],
    )  # fmt: skip
    def test_anything_else(self, path, change):
        forge(path, **change)
        refused(path, "its header lacks or misstates something")

    @pytest.mark.parametrize("depth", [900, 990, 1_000, 100_000])
    def test_nested_deeply(self, path, depth):
        nested = "[" * depth + "]" * depth
        entry = json.dumps(entry_of(path))[:-1] + f', "more": {nested}}}'
        path.write_bytes(to_bytes({"params": np.arange(9.0)}, metadata={"gradstep": entry}))
        refused(path)


@pytest.mark.parametrize("mean", [2, (1 << 63) + 1])
def test_whole_numbers_are_numbers(path, mean):
    """Compiled code takes each as the type that it was compiled for."""
    columns = [{**column, "mean": mean} if "mean" in column else column for column in
               entry_of(path)["encoding"]["columns"]]  # fmt: skip
    forge(path, encoding={**entry_of(path)["encoding"], "columns": columns})
    model = load(path)
    assert type(model.encoding.columns[0].mean) is float
    assert model.predict(pl.DataFrame({"x": [1.0], "c": ["a"], "id": ["n"]})).size == 1


def test_a_valid_one_predicts(path):
    forge(path)
    frame = pl.DataFrame({"x": [1.0], "c": ["a"], "id": ["q"]})
    assert load(path).predict(frame).tolist() == ["yes"]
