"""Sparse text: read as scikit-learn reads it, prepared as any table, wrong in a line we name."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import dump_svmlight_file, load_svmlight_file

import gradstep
from gradstep.data.preparing import per_row, sparse
from gradstep.data.sources import svmlight
from gradstep.data.sources.source_file import SourceFile
from gradstep.data.sources.svmlight import SparseTable
from gradstep.errors import CannotWrite, InvalidModel, InvalidParameter, InvalidTable

RNG = np.random.default_rng(0)
X = sp.random(1500, 40, 0.15, random_state=0, format="csr")
SCORE = X @ RNG.normal(size=40) + 0.1 * RNG.normal(size=1500)
Y = np.where(SCORE > 0.0, 1, -1)


@pytest.fixture
def write(tmp_path):
    def write(text, name="rows.svm"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("sparse") / "rows.svm"
    dump_svmlight_file(X, Y, str(path), zero_based=False)
    return path


def matrix(path, **options):
    """Return labels and rows of a file as one dense matrix."""
    chunks = list(SparseTable(path).chunks(**options))
    width = max(chunk.rows.width for chunk in chunks)
    parts = [
        sp.csr_matrix((c.rows.values, c.rows.columns, c.rows.starts), shape=(c.height, width))
        for c in chunks
    ]
    return np.concatenate([c.labels for c in chunks]), sp.vstack(parts).toarray()


class TestReading:
    @pytest.mark.parametrize("block", [100, 1 << 22])
    def test_is_scikit_learns(self, file, block, monkeypatch):
        monkeypatch.setattr(svmlight, "_BLOCK_BYTES", block)
        labels, rows = matrix(file)
        theirs, y = load_svmlight_file(str(file), zero_based=True)
        np.testing.assert_array_equal(labels, y)
        np.testing.assert_allclose(rows, theirs.toarray(), rtol=4e-16)

    def test_packed(self, file, tmp_path):
        packed = tmp_path / "rows.svm.gz"
        packed.write_bytes(gzip.compress(file.read_bytes()))
        for ours, theirs in zip(matrix(packed), matrix(file), strict=True):
            np.testing.assert_array_equal(ours, theirs)

    def test_comments_groups_blanks_and_rows_without_entries(self, write):
        text = "# by hand\n1 1:2 # first\n\n-1\n0.5 qid:3 2:1e2 7:-.5\r\n"
        labels, rows = matrix(write(text))
        assert labels.tolist() == [1.0, -1.0, 0.5]
        assert rows[0].tolist() == [0, 2, 0, 0, 0, 0, 0, 0]
        assert rows[1].tolist() == [0] * 8
        assert rows[2].tolist() == [0, 0, 100, 0, 0, 0, 0, -0.5]

    @given(st.floats(allow_nan=False, allow_infinity=False, width=32))
    def test_numbers_are_pythons(self, tmp_path_factory, number):
        path = tmp_path_factory.mktemp("number") / "one.svm"
        path.write_text(f"{number!r} 0:{number:.7g}\n")
        labels, rows = matrix(path)
        np.testing.assert_allclose(labels[0], number, rtol=4e-16)
        np.testing.assert_allclose(rows[0, 0], float(f"{number:.7g}"), rtol=4e-16)

    def test_features_beyond_the_models_are_left_out(self, write):
        _, rows = matrix(write("1 1:2 9:3\n2 3:1\n"), width=4)
        assert rows.tolist() == [[0, 2, 0, 0], [0, 0, 0, 1]]

    @pytest.mark.parametrize(
        "text, told",
        [
            ("1 1:2\n-1 2:x\n", "line 2: '2:x' is no number"),
            ("1 1:2\n\n# c\n-1 2 3:1\n", "line 4: '2' has no ':'"),
            ("1 a:2\n", "line 1: 'a:2' is no index"),
            ("1 3:2 2:1\n", "line 1: '2:1' comes after a larger index"),
            ("1 3:2 99999999999:1\n", "line 1: '99999999999:1' is too large an index"),
            ("yes 3:2\n", "line 1: 'yes' is no number"),
            ("1 3:nan\n", "line 1: '3:nan' is no number"),
            ("1.5.2 3:1\n", "line 1: '1.5.2' is no number"),
        ],
    )
    @pytest.mark.parametrize("block", [8, 1 << 22])
    def test_what_is_wrong_is_told_with_its_line(self, write, text, told, block, monkeypatch):
        monkeypatch.setattr(svmlight, "_BLOCK_BYTES", block)
        with pytest.raises(InvalidTable, match=told):
            matrix(write(text))

    def test_a_file_that_changes(self, file, tmp_path):
        copy = tmp_path / "rows.svm"
        copy.write_bytes(file.read_bytes())
        table = SparseTable(copy)
        copy.write_bytes(file.read_bytes() + b"1 1:1\n")
        with pytest.raises(InvalidTable, match="changed while it was being read"):
            list(table.chunks())
        copy.unlink()
        with pytest.raises(InvalidTable, match=r"disappeared|cannot be read"):
            list(table.chunks())


def exchanging(path, text):
    """Return a `progress` that puts another file in the place of one between the two passes."""

    def progress(what, rows):
        if what == "reading":
            path.with_suffix(".new").write_text(text)
            path.with_suffix(".new").replace(path)

    return progress


class TestPreparing:
    @pytest.mark.parametrize(
        "second",
        [
            "1 1:2 2:3 3:4\n-1 2:1\n",  # more entries in a row
            "1\n-1 1:2 2:1\n",  # as many in all
            "1 1:2\n-1 2:1\n1 1:2\n-1 2:1\n",
            "1 1:2\n",
            "",
            "1 " + " ".join(f"{i}:1" for i in range(300_000)) + "\n-1 2:1\n",
        ],
        ids=["entries", "as many", "rows", "fewer", "none", "many entries"],
    )
    @pytest.mark.parametrize("disk", [False, True])
    def test_a_file_replaced_between_the_passes(self, write, tmp_path, monkeypatch, second, disk):
        monkeypatch.setattr(SourceFile, "check", lambda _: None)  # whatever tells files apart
        path = write("1 1:2\n-1 2:1\n")
        out = tmp_path / "prepared" if disk else None
        with pytest.raises(InvalidTable, match=r"rows\.svm changed while it was being read"):
            gradstep.prepare(
                path, "label", validation=0.0, out=out, progress=exchanging(path, second)
            )
        assert not (tmp_path / "prepared").exists()

    def test_every_row_once(self, file):
        prepared = gradstep.prepare(file, "label")
        assert prepared.meta["rows"]["train"] + prepared.validation.n == 1500
        assert 100 < prepared.validation.n < 200

        def rows_of(data):
            rows = data.rows
            dense = sp.csr_matrix((rows.values, rows.columns, rows.starts), shape=(data.n, 41))
            return np.c_[data.y, dense.toarray()]

        both = np.r_[rows_of(prepared.train), rows_of(prepared.validation)]
        ours, theirs = both, np.c_[Y, np.zeros(1500), X.toarray()]
        order = [np.lexsort(part.T) for part in (ours, theirs)]
        np.testing.assert_allclose(ours[order[0]], theirs[order[1]], rtol=1e-12)
        in_file = rows_of(gradstep.prepare(file, "label", random_state=1).train)
        assert not np.array_equal(in_file[:100], rows_of(prepared.train)[:100])

    def test_disk_is_memory(self, file, tmp_path):
        memory = gradstep.prepare(file, "label")
        disk = gradstep.prepare(file, "label", out=tmp_path / "prepared")
        again = gradstep.open_prepared(tmp_path / "prepared", verify=True)
        for other in (disk, again):
            for part in ("train", "validation"):
                one, two = getattr(memory, part), getattr(other, part)
                np.testing.assert_array_equal(one.y, two.y)
                for name in ("values", "columns", "starts"):
                    np.testing.assert_array_equal(getattr(one.rows, name), getattr(two.rows, name))

    @pytest.mark.parametrize("task", ["auto", "regression"])
    def test_many_rows_are_few(self, file, tmp_path, monkeypatch, task):
        """Numbers of each row that are mapped, in pieces: the same bytes as in memory."""
        gradstep.prepare(file, "label", out=tmp_path / "few", task=task, validation_table=file)
        gradstep.prepare(file, "label", out=tmp_path / "few too", task=task)
        monkeypatch.setattr(per_row, "_IN_MEMORY", 100)
        monkeypatch.setattr(sparse, "_ROWS", 333)
        gradstep.prepare(file, "label", out=tmp_path / "many", task=task, validation_table=file)
        gradstep.prepare(file, "label", out=tmp_path / "many too", task=task)
        for few, many in (("few", "many"), ("few too", "many too")):
            for path in (tmp_path / few).iterdir():
                assert path.read_bytes() == (tmp_path / many / path.name).read_bytes()

    def test_no_place_for_many_rows(self, file, tmp_path, monkeypatch):
        monkeypatch.setattr(per_row, "_IN_MEMORY", 100)
        monkeypatch.setenv("GRADSTEP_CACHE_DIR", "/dev/null/there")
        with pytest.raises(CannotWrite, match=r"scratch cannot be written: .* Free some"):
            gradstep.prepare(file, "label")

    @pytest.mark.parametrize(
        "options, error, told",
        [
            ({"sample_weight": "w"}, InvalidParameter, "sample_weight: sparse text has a label"),
            ({"drop": ["x"]}, InvalidParameter, "drop: sparse text has a label"),
            (
                {"decimal": ",", "thousands": "", "encoding": "latin-1"},
                InvalidParameter,
                "decimal, thousands, encoding: sparse text has a label",
            ),
            ({"validation_table": "rows.csv"}, InvalidTable, "is not sparse text"),
        ],
    )
    def test_what_has_no_meaning_is_refused(self, file, options, error, told):
        with pytest.raises(error, match=told):
            gradstep.prepare(file, "label", **options)

    @pytest.mark.parametrize(
        "text, told",
        [
            ("", "has no rows"),
            ("1 1:2\n1 2:1\n", "The label is 1 in every row"),
            ("1\n-1\n", "has no entry to learn from"),
            ("1 1:2\n-1 2147483645:1\n", "has the index 2,147,483,645, and 2 entries in all"),
            ("1 1:2\n-1 16777216:1\n", "would have 16,777,217 weights, nearly all of them of no"),
        ],
    )
    def test_what_cannot_be_learned_from(self, write, text, told):
        with pytest.raises(InvalidTable, match=told):
            gradstep.prepare(write(text), "label")

    def test_a_wrong_target_or_file(self, file):
        with pytest.raises(InvalidTable, match="call it 'label', not 'y'"):
            gradstep.prepare(file, "y")
        with pytest.raises(InvalidTable, match="does not exist"):
            gradstep.prepare("nowhere.svm", "label")


class TestModels:
    def test_learns_predicts_and_is_kept(self, file, tmp_path):
        fit = gradstep.fit_table(file, "label", validation_table=file)
        model = fit.model
        z = np.c_[np.zeros(1500), X.toarray()] @ model.coef_[0] + model.intercept_
        assert (model.predict(file) == np.where(z > 0.0, 1, -1)).all()
        assert fit.validation["accuracy"] > 0.95 > fit.baseline["accuracy"]
        assert gradstep.evaluate(model, file)["accuracy"] == fit.validation["accuracy"]
        gradstep.save(model, tmp_path / "model.safetensors")
        again = gradstep.load(tmp_path / "model.safetensors")
        np.testing.assert_array_equal(again.predict_proba(file), model.predict_proba(file))
        with pytest.raises(InvalidTable, match="The model reads sparse text"):
            again.predict("rows.csv")
        with pytest.raises(InvalidParameter, match="encoding='latin-1': sparse text"):
            again.predict(file, encoding="latin-1")
        with pytest.raises(InvalidModel, match="does not exist"):
            gradstep.load(tmp_path / "none.safetensors")

    def test_numbers_to_predict(self, tmp_path):
        path = tmp_path / "numbers.libsvm"
        dump_svmlight_file(X, SCORE, str(path))
        fit = gradstep.fit_table(path, "label", loss="squared_error", batch_size=8)
        assert fit.validation["r2"] > 0.9

    def test_estimators_take_it(self, file):
        prepared = gradstep.prepare(file, "label", validation=0.0)
        model = gradstep.MiniBatchClassifier(max_iter=30, tol=None).fit(prepared)
        assert (model.predict(file) == Y).mean() > 0.9
