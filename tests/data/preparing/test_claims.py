"""What a prepared folder may hold: nothing that compiled code would follow out of its arrays."""

from __future__ import annotations

import hashlib
import json
import shutil

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gradstep import InvalidTable, fit_table, open_prepared, prepare
from gradstep.estimators import MiniBatchRegressor
from tests.data.cases import numbered

N = 60
TABLES = {
    "numbers": numbered(N),
    "two": numbered(N).with_columns((pl.col("z") > 90).alias("y")),
    "three": numbered(N).with_columns(pl.col("colour").alias("y")),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Prepared folders, by what their targets are."""
    home = tmp_path_factory.mktemp("prepared")
    for name, table in TABLES.items():
        prepare(table, "y", sample_weight="w", validation=0.3, out=home / name)
    rows = [f"{i % 3} {i % 5}:1 {5 + i % 7}:{i}.5\n" for i in range(N)]
    (home / "rows.svm").write_text("".join(rows))
    prepare(home / "rows.svm", "label", task="classification", out=home / "sparse")
    shifted = TABLES["numbers"].with_columns(o=pl.col("z") / 100)
    prepare(shifted, "y", offset="o", validation=0.3, out=home / "offset")
    return home


@pytest.fixture
def copy(whole, tmp_path):
    """Copy a folder that may be damaged."""
    return lambda name: shutil.copytree(whole / name, tmp_path / name)


def put(folder, name, row, value):
    """Put a number into an array, past all checksums of meta.json."""
    path = folder / f"{name}.npy"
    array = np.load(path)
    array[row] = value
    np.save(path, array)


def read(folder):
    return json.loads(json.loads((folder / "meta.json").read_text())["meta"])


def forge(folder, meta):
    """Write meta.json anew, with the checksum that belongs to it."""
    text = json.dumps(meta)
    told = {"meta": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    (folder / "meta.json").write_text(json.dumps(told))


def test_what_prepare_wrote_is_forged_to_itself(whole, copy):
    for name in (*TABLES, "sparse", "offset"):
        folder = copy(name)
        forge(folder, read(folder))
        assert open_prepared(folder).meta == open_prepared(whole / name).meta


class TestNumbers:
    @pytest.mark.parametrize("part", ["train", "validation"])
    @pytest.mark.parametrize("row", [0, 7])
    @pytest.mark.parametrize(
        "table, noun, value, says",
        [
            *(("three", "y", v, "one of the classes 0 to 2") for v in
              (3.0, -3.0, 0.5, 1e300, np.nan, -np.inf)),
            *(("sparse", "y", v, "one of the classes 0 to 2") for v in (3.0, -1.0)),
            *(("two", "y", v, "-1 or 1") for v in (0.0, 2.0, np.nan)),
            *(("numbers", "y", v, "a finite number") for v in (np.nan, np.inf)),
            *(("numbers", "weight", v, "from 0 on") for v in (-1.0, np.nan, np.inf)),
        ],
    )  # fmt: skip
    def test_that_training_may_not_meet(self, copy, part, row, table, noun, value, says):
        folder = copy(table)
        put(folder, f"{part}_{noun}", row if table != "sparse" else 2, value)
        with pytest.raises(InvalidTable, match=says) as caught:
            open_prepared(folder)
        at = row if table != "sparse" else 2
        assert f"{folder}/{part}_{noun}.npy holds {value:g} in row {at + 1}" in str(caught.value)

    def test_offsets(self, copy):
        folder = copy("offset")
        put(folder, "validation_offset", 3, np.nan)
        with pytest.raises(InvalidTable, match=r"validation_offset\.npy holds nan in row 4"):
            open_prepared(folder)

    @pytest.mark.parametrize("part", ["train", "validation"])
    def test_no_weight_at_all(self, copy, part):
        folder = copy("numbers")
        put(folder, f"{part}_weight", slice(None), 0.0)
        with pytest.raises(InvalidTable, match=rf"{part}_weight\.npy holds nothing but zeros"):
            open_prepared(folder)

    @pytest.mark.parametrize(
        "table, name, row, value",
        [
            ("numbers", "train_codes", 5, 1_000_000),
            ("numbers", "validation_codes", 0, -2),
            ("sparse", "train_columns", 3, 1_000_000),
            ("sparse", "train_columns", 3, -1),
            ("sparse", "train_starts", 3, 1 << 40),
            ("sparse", "train_starts", 3, 0),
            ("sparse", "train_starts", 0, -8),
            ("sparse", "train_starts", -1, 1 << 40),
            ("sparse", "validation_starts", 1, -1),
        ],
    )
    def test_indices_of_features_and_rows(self, copy, table, name, row, value):
        folder = copy(table)
        put(folder, name, row, value)
        with pytest.raises(InvalidTable, match="holds indices of features that there are not"):
            open_prepared(folder)

    @pytest.mark.parametrize("part", ["train", "validation"])
    def test_that_a_loss_is_not_defined_for(self, copy, part):
        """Which `meta.json` does not know of, and training would call a divergence."""
        folder = copy("numbers")
        put(folder, f"{part}_y", 4, -3.0)
        prepared = open_prepared(folder)
        says = r"The target 'y' goes down to -3; the loss Poisson needs y >= 0"
        with pytest.raises(InvalidTable, match=says):
            fit_table(prepared, loss="poisson")
        with pytest.raises(InvalidTable, match=says):
            MiniBatchRegressor(loss="poisson").fit(prepared)


class TestMeta:
    def refused(self, folder, says=r"meta\.json lacks or misstates something"):
        with pytest.raises(InvalidTable, match=says) as caught:
            open_prepared(folder)
        assert str(folder) in str(caught.value)

    @pytest.mark.parametrize("part", ["files", "rows", "source", "asked", "target", "encoding",
                                      "warnings", "columns", "fingerprint"])  # fmt: skip
    def test_without_a_part(self, copy, part):
        folder = copy("numbers")
        forge(folder, {k: v for k, v in read(folder).items() if k != part})
        self.refused(folder)

    @pytest.mark.parametrize(
        "name", ["../numbers/train_y.npy", "/etc/passwd", "train_/../../x.npy", "train_y.npy/",
                 "train_.._y.npy", "validation_", "meta.json", "train_Y.npy\n", ""],
    )  # fmt: skip
    def test_files_elsewhere(self, copy, name):
        folder = copy("numbers")
        meta = read(folder)
        meta["files"][name] = {"bytes": 0, "sha256": None}
        forge(folder, meta)
        self.refused(folder)

    @pytest.mark.parametrize("part", ["train", "validation"])
    @pytest.mark.parametrize("noun", ["y", "codes", "values"])
    def test_without_an_array(self, copy, part, noun):
        folder = copy("numbers")
        meta = read(folder)
        del meta["files"][f"{part}_{noun}.npy"]
        forge(folder, meta)
        self.refused(folder, rf"{part}_{noun}\.npy is no part of the table")

    @pytest.mark.parametrize("part", ["train", "validation"])
    def test_weights_of_one_part_alone(self, copy, part):
        folder = copy("numbers")
        meta = read(folder)
        del meta["files"][f"{part}_weight.npy"]
        forge(folder, meta)
        self.refused(folder, rf"{part}_weight\.npy is no part of the table, though the other")

    @pytest.mark.parametrize("rows", [-1, 0, 1 << 60, 1.5, "3", None, True])
    @pytest.mark.parametrize("part", ["train", "validation"])
    def test_other_rows(self, copy, part, rows):
        folder = copy("numbers")
        meta = read(folder)
        meta["rows"][part] = rows
        forge(folder, meta)
        self.refused(folder, "is damaged")

    @pytest.mark.parametrize("text", ["[" * 100_000, '{"meta": ' * 100_000, '{"meta": "[[[["}',
                                      '{"meta": "[]"}', '{"meta": "3"}', "\ud800"])  # fmt: skip
    def test_no_meta_at_all(self, copy, text):
        folder = copy("numbers")
        (folder / "meta.json").write_bytes(text.encode("utf-8", "surrogatepass"))
        self.refused(folder, r"meta\.json cannot be read")

    def test_deep_inside(self, copy):
        folder = copy("numbers")
        text = "[" * 100_000
        told = {"meta": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}
        (folder / "meta.json").write_text(json.dumps(told))
        self.refused(folder, r"meta\.json cannot be read")

    def test_a_width_that_no_row_bears_out(self, copy):
        folder = copy("sparse")
        forge(folder, {**read(folder), "encoding": {"sparse": (1 << 31) - 1, "columns": []}})
        self.refused(folder, "is damaged")

    @settings(
        deadline=None, max_examples=300,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )  # fmt: skip
    @given(
        st.sampled_from([*TABLES, "sparse", "offset"]),
        st.data(),
        st.sampled_from(
            [
                None,
                True,
                -1,
                0,
                7,
                1 << 70,
                1.5,
                float("nan"),
                "",
                "x",
                "\ud800",
                [],
                [1],
                ["a"],
                {},
                {"x": 1},
            ]
        ),
    )
    @example("numbers", None, None)
    def test_any_part_replaced(self, whole, tmp_path, name, data, value):
        """It opens, and then can be trained on, or is refused."""
        folder = tmp_path / "any"
        if not folder.exists():
            shutil.copytree(whole / name, folder)
        for path in (whole / name).iterdir():
            shutil.copy(path, folder)
        meta = read(folder)
        if data is not None:
            at = meta
            while True:
                keys = list(at) if isinstance(at, dict) else list(range(len(at)))
                key = data.draw(st.sampled_from(keys))
                inside = at[key]
                if not (isinstance(inside, (dict, list)) and inside) or data.draw(st.booleans()):
                    at[key] = value
                    break
                at = inside
        forge(folder, meta)
        try:
            opened = open_prepared(folder)
        except InvalidTable as error:
            assert str(folder) in str(error)  # noqa: PT017
        else:
            assert repr(opened)
            assert opened.feature_names
