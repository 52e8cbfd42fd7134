"""Model files: what is saved is what is loaded, and nothing else is."""

from __future__ import annotations

import json
import os
import pickle
import stat
import struct
import subprocess

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from safetensors.numpy import save as to_bytes

import gradstep
from gradstep import (
    CannotWrite,
    InvalidModel,
    InvalidParameter,
    Model,
    fit_table,
    load,
    save,
    tensor_file,
)
from gradstep.data.features.encoding import Encoding, NumberColumn
from gradstep.data.preparing.prepared import Target
from gradstep.objective.regression import SquaredError
from tests.examples import examples
from tests.uncompiled import compiled_if


def table(n=80):
    rng = np.random.default_rng(0)
    x, colour = rng.normal(50.0, 9.0, n), rng.choice(["red", "green", "blue"], n)
    return pl.DataFrame(
        {
            "x": pl.Series([None if k % 9 == 0 else v for k, v in enumerate(x)]),
            "colour": colour,
            "id": [f"i{k % 20}" for k in range(n)],
            "day": pl.Series(range(19_000, 19_000 + n)).cast(pl.Int32).cast(pl.Date),
            "o": rng.normal(size=n) / 5,
            "y": np.abs((x - 50.0) / 9 + (colour == "red") + rng.normal(size=n)) + 0.1,
        }
    )


TABLE = table()
CLASSES = pl.Series([("no", "perhaps", "yes")[k % 3] for k in range(80)])
FITS = {
    "numbers": (TABLE, {}),
    "rates": (TABLE, {"loss": "poisson", "offset": "o"}),
    "tweedie": (TABLE, {"loss": "tweedie", "power": 1.7}),
    "quantile": (TABLE, {"loss": "pinball", "quantile": 0.8}),
    "hashed": (TABLE, {"kinds": {"id": "hash:6"}, "max_levels": 2}),
    "booleans": (TABLE.with_columns(y=pl.col("y") > 1.0), {}),
    "whole numbers": (TABLE.with_columns(y=(pl.col("y") > 1.0).cast(pl.Int8) + 3), {}),
    "softmax": (TABLE.with_columns(y=CLASSES), {}),
    "one against the rest": (TABLE.with_columns(y=CLASSES), {"loss": "hinge"}),
}


@pytest.fixture
def model():
    """A model without a fit."""
    encoding = Encoding((NumberColumn("x", 1.0, 2.0),))
    return Model(encoding, Target("y"), SquaredError(), np.array([0.5, 3.0]), None, {"source": "t"})


@pytest.fixture
def path(model, tmp_path):
    """A model's file, whole."""
    save(model, tmp_path / "m.gradstep")
    return tmp_path / "m.gradstep"


class TestRoundTrip:
    @pytest.mark.parametrize("name", compiled_if(lambda name: name == "numbers", FITS))
    def test_gives_the_same_bits(self, name, tmp_path):
        frame, options = FITS[name]
        fitted = fit_table(frame, "y", alpha=1e-4, max_iter=3, validation=0.2, **options).model
        save(fitted, tmp_path / "m")
        loaded = load(tmp_path / "m")
        assert loaded.params.tobytes() == fitted.params.tobytes()
        assert (loaded.encoding, loaded.target) == (fitted.encoding, fitted.target)
        assert (type(loaded.loss), loaded.loss) == (type(fitted.loss), fitted.loss)
        assert loaded.offset == fitted.offset
        mine, theirs = fitted.predict(frame), loaded.predict(frame)
        assert mine.dtype == theirs.dtype
        assert mine.tolist() == theirs.tolist()
        assert loaded.provenance == json.loads(json.dumps(fitted.provenance))
        if fitted.gives_probabilities:
            same = loaded.predict_proba(frame), fitted.predict_proba(frame)
            assert same[0].tobytes() == same[1].tobytes()

    def test_says_where_the_model_comes_from(self, tmp_path):
        TABLE.write_csv(tmp_path / "t.csv")
        save(
            fit_table(tmp_path / "t.csv", "y", max_iter=3, random_state=7, optimizer="sgd").model,
            tmp_path / "m",
        )
        told = load(tmp_path / "m").provenance
        assert told["source"] == str(tmp_path / "t.csv")
        assert told["version"] == gradstep.__version__
        assert told["asked"]["seed"] == 7
        assert told["rows"]["read"] == 80
        assert told["epochs"] == 3

    def test_the_same_model_is_the_same_file(self, model, path, tmp_path):
        save(model, tmp_path / "again")
        assert (tmp_path / "again").read_bytes() == path.read_bytes()
        save(load(path), tmp_path / "again")
        assert (tmp_path / "again").read_bytes() == path.read_bytes()


class TestSaving:
    def test_replaces_a_file(self, model, path):
        path.write_text("something else")
        save(model, str(path))
        assert load(str(path)).params.tolist() == [0.5, 3.0]
        assert [p.name for p in path.parent.iterdir()] == [path.name]

    def test_makes_folders(self, model, tmp_path):
        save(model, tmp_path / "a" / "b" / "m")
        assert load(tmp_path / "a" / "b" / "m").params.tolist() == [0.5, 3.0]

    @pytest.mark.parametrize("call", ["fsync", "replace"])
    def test_a_failure_leaves_what_was_there(self, call, path, model, monkeypatch):
        before = path.read_bytes()

        def fails(*args, **kwargs):
            raise OSError(28, "No space left on device")

        home = type(path) if call == "replace" else os
        monkeypatch.setattr(home, call, fails)
        model.params[0] = 9.0
        with pytest.raises(CannotWrite, match=rf"{path} cannot be written: No space left"):
            save(model, path)
        assert path.read_bytes() == before
        assert [p.name for p in path.parent.iterdir()] == [path.name]

    def test_below_a_file(self, model, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(CannotWrite, match=r"file/m cannot be written: "):
            save(model, tmp_path / "file" / "m")

    def test_over_a_folder(self, model, tmp_path):
        (tmp_path / "m").mkdir()
        with pytest.raises(CannotWrite, match=r"m cannot be written: it is a folder"):
            save(model, tmp_path / "m")
        assert [p.name for p in tmp_path.iterdir()] == ["m"]

    def test_to_a_read_only_place(self, model, tmp_path):
        folder = tmp_path / "locked"
        folder.mkdir()
        folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
        if os.access(folder, os.W_OK):  # as root: a read-only file system
            mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)]
            if subprocess.run(mount, capture_output=True, check=False).returncode:
                pytest.skip("root may write everywhere here")
        try:
            with pytest.raises(CannotWrite, match=r"locked/m cannot be written: "):
                save(model, folder / "m")
        finally:
            subprocess.run(["umount", str(folder)], capture_output=True, check=False)
            folder.chmod(0o755)

    def test_a_loss_of_ones_own(self, model, tmp_path):
        """Its code would have to be in the file."""
        model.loss = type("Mine", (SquaredError,), {"__module__": "mine"})()
        with pytest.raises(InvalidParameter, match="cannot be saved"):
            save(model, tmp_path / "m")
        assert not (tmp_path / "m").exists()


def header(path):
    """Return the header of a safetensors file, and what follows it."""
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def write(path, told, rest):
    text = json.dumps(told).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + rest)


def rewritten(path, change, without=()):
    """Change what a model's file says, as if gradstep had written that."""
    told, rest = header(path)
    entry = json.loads(told["__metadata__"]["gradstep"])
    del entry["sha256"]
    change(entry)
    for part in without:
        del entry[part]
    entry["sha256"] = tensor_file._checksum(entry, load_file(path))
    told["__metadata__"]["gradstep"] = json.dumps(entry)
    write(path, told, rest)


class TestDamaged:
    def refused(self, path, says):
        with pytest.raises(InvalidModel) as caught:
            load(path)
        assert str(path) in str(caught.value)
        assert says in str(caught.value)

    def test_no_file(self, tmp_path):
        self.refused(tmp_path / "none", "does not exist")
        self.refused(tmp_path, "is no file")

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"x" * 5000, b"\0" * 64])
    def test_something_else(self, content, path):
        path.write_bytes(content)
        self.refused(path, "no model of gradstep, or a damaged one")

    @pytest.mark.parametrize("tensors", [{"params": np.zeros(2)}, {"weights": np.zeros(2)}])
    def test_a_safetensors_file_of_another_program(self, tensors, path):
        path.write_bytes(to_bytes(tensors))
        self.refused(path, "not one that gradstep wrote")

    def test_a_newer_one(self, path):
        told, rest = header(path)
        entry = json.loads(told["__metadata__"]["gradstep"])
        told["__metadata__"]["gradstep"] = json.dumps({**entry, "format": 99, "version": "7.1"})
        write(path, told, rest)
        self.refused(path, "model format 99")
        self.refused(path, "Install gradstep 7.1")
        self.refused(path, gradstep.__version__)

    @pytest.mark.parametrize("entry", ["", "{", "[]", "3", "{}", "[" * 100_000])
    def test_another_header(self, entry, path):
        told, rest = header(path)
        told["__metadata__"]["gradstep"] = entry
        write(path, told, rest)
        self.refused(path, "is damaged: its header cannot be read")

    @pytest.mark.parametrize("part", ["encoding", "target", "loss"])
    @pytest.mark.parametrize("value", [None, 3, [], {}, "x", {"columns": [3], "single": False}])
    def test_a_part_of_the_header(self, part, value, path, monkeypatch):
        """Even if its checksum were right."""
        told, rest = header(path)
        entry = json.loads(told["__metadata__"]["gradstep"])
        entry[part] = value
        told["__metadata__"]["gradstep"] = json.dumps(entry)
        write(path, told, rest)
        self.refused(path, "checksum differs")
        monkeypatch.setattr("gradstep.tensor_file._checksum", lambda *_: None)
        told["__metadata__"]["gradstep"] = json.dumps({**entry, "sha256": None})
        write(path, told, rest)
        self.refused(path, "is damaged: its header lacks or misstates something")

    @settings(examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.integers(0, 10_000), st.integers(0, 7))
    def test_any_flipped_bit(self, path, at, bit):
        content = path.read_bytes()
        damaged = bytearray(content)
        damaged[at % len(content)] ^= 1 << bit
        path.write_bytes(damaged)
        try:
            loaded = load(path)
        except InvalidModel as error:
            assert str(path) in str(error)  # noqa: PT017
        else:  # a blank may be any other, and E is e in a number
            path.write_bytes(content)
            whole = load(path)
            assert vars(loaded) | {"params": None} == vars(whole) | {"params": None}
            assert loaded.params.tobytes() == whole.params.tobytes()
        finally:
            path.write_bytes(content)

    @pytest.mark.parametrize("keep", [0, 1, 7, 8, 50, -1, -8])
    def test_a_part_of_it(self, keep, path):
        path.write_bytes(path.read_bytes()[:keep])
        self.refused(path, "no model of gradstep, or a damaged one")

    def test_no_code_is_run(self, path, tmp_path):
        """Not that of a pickle, whatever it is called."""

        class Harm:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "harm"),)

        path.write_bytes(pickle.dumps(Harm()))
        self.refused(path, "no model of gradstep, or a damaged one")
        told, rest = header_of_harm()
        write(path, told, rest)
        self.refused(path, "is damaged")
        assert not (tmp_path / "harm").exists()


def header_of_harm():
    """Return a file whose loss is called like a module's function."""
    entry = {
        "format": 1, "version": "1", "offset": None, "provenance": {},
        "encoding": {"columns": [], "single": False}, "target": {"column": "y", "classes": None},
        "loss": {"name": "__builtins__"},
    }  # fmt: skip
    tensor = {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}
    return {"__metadata__": {"gradstep": json.dumps(entry)}, "params": tensor}, b"\0" * 8
