"""Predictions and metrics of a table's pieces: those of the whole table, whoever computed them."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gradstep import (
    CannotWrite,
    InvalidParameter,
    InvalidTable,
    evaluate,
    fit_table,
    load,
    predict_parts,
    save,
)
from gradstep.cli.main import main
from gradstep.data.sources import pieces as cutting
from gradstep.data.sources.opening import open_table
from gradstep.data.sources.pieces import pieces_of
from gradstep.files import temporary_folder
from gradstep.model import by_pieces
from gradstep.model.prediction_columns import PredictionColumns

N = 900
CUTS = [0, 200, 201, 600, N]


def _frame():
    rng = np.random.default_rng(0)
    x, c = rng.normal(size=N), rng.integers(0, 4, N)
    score = 2.0 * x + (c == 1) + rng.logistic(size=N)
    level = np.array(["a", "b", "c", "7"])[c]
    return pl.DataFrame({
        "id": [f"{i:05}" for i in range(N)], "x": x, "level": level,
        "two": np.where(score > 0, "yes", "no"), "number": score, "w": rng.integers(0, 3, N),
    })  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with the table as CSV and Parquet files; one has numbers where others have text."""
    home, frame = tmp_path_factory.mktemp("home"), _frame()
    for kind in ("csv", "parquet"):
        (home / kind).mkdir()
        for at in range(4):
            part = frame[CUTS[at] : CUTS[at + 1]]
            getattr(part, f"write_{kind}")(home / kind / f"{at}.{kind}")
    frame.write_parquet(home / "one.parquet")
    return home


@pytest.fixture(scope="module")
def models(home):
    """A model of classes and one of numbers."""
    drop = {"drop": ["id", "w"], "validation": 0.0}
    return {
        target: fit_table(_frame().drop({"two", "number"} - {target}), target, **drop).model
        for target in ("two", "number")
    }


def leaves(found):
    """Yield the numbers of figures within figures."""
    if isinstance(found, (dict, list)):
        for each in found.values() if isinstance(found, dict) else found:
            yield from leaves(each)
    else:
        yield found


@pytest.fixture
def _cut(monkeypatch):
    monkeypatch.setattr(cutting, "_PIECE_BYTES", 1 << 12)
    monkeypatch.setattr(cutting, "_LEAST_BYTES", 0)


@pytest.mark.usefixtures("_cut")
@pytest.mark.parametrize(
    "target, table",
    [
        ("two", "csv"),
        ("number", "one.parquet"),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in (
            ("two", "parquet"), ("two", "one.parquet"), ("number", "csv"), ("number", "parquet"),
        )),
    ],
)  # fmt: skip
def test_are_those_of_the_whole(home, models, client, table, target):
    model, path = models[target], home / table
    pieces = pieces_of(open_table(path))
    assert len(pieces) >= 4
    rows = [frame for piece in pieces for frame in piece.open().chunks()]
    assert pl.concat(rows).equals(pl.concat(open_table(path).chunks()))
    np.testing.assert_array_equal(model.predict(path, client=client), model.predict(path))
    if target == "two":
        np.testing.assert_array_equal(
            model.predict_proba(path, client=client), model.predict_proba(path)
        )
    for weight in (None, "w"):
        there = evaluate(model, path, sample_weight=weight, client=client)
        assert there == evaluate(model, path, sample_weight=weight)
        whole = evaluate(model, _frame(), sample_weight=weight)
        assert list(leaves(there)) == pytest.approx(list(leaves(whole)), rel=1e-12)


def test_a_piece_of_other_types_is_read_as_the_whole(tmp_path, client):
    pl.DataFrame({"x": [1, 2], "c": [7, 8], "e": [None, None]}).write_csv(tmp_path / "0.csv")
    pl.DataFrame({"x": [0.5, 3.0], "c": [9, 9], "e": ["u", "v"]}).write_csv(tmp_path / "1.csv")
    pl.DataFrame({"x": [1, 2]}).write_parquet(tmp_path / "0.parquet")
    pl.DataFrame({"x": [0.5, 3.0]}).write_parquet(tmp_path / "1.parquet")
    for kind in ("csv", "parquet"):
        table = open_table(str(tmp_path / f"*.{kind}"), as_text=["c"])
        pieces = pieces_of(table, each_file=True)
        assert (len(pieces), len(pieces_of(table))) == (2, 1)
        found = pl.concat([f for piece in pieces for f in piece.open().chunks()])
        assert found.equals(pl.concat(pieces_of(table)[0].open().chunks()))
        assert found.equals(pl.concat(table.chunks()))
        assert found.schema == table.schema


@pytest.mark.parametrize("kind", ["parquet", "ndjson", "csv"])
def test_files_that_are_joined_by_name(kind, tmp_path, monkeypatch):
    """Columns that a file lacks or has in another place; folders that are columns."""
    (tmp_path / "day=7" / "rows").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "day=7")
    parts = [_frame()[:300], _frame()[300:700].select("two", "x", "level"), _frame()[700:]]
    for at, part in enumerate(parts):
        folder = Path("rows", f"year=202{at}")
        folder.mkdir()
        getattr(part, f"write_{kind}")(folder / f"rows.{kind}")
    for source in ("rows", str(Path("rows", "*", f"rows.{kind}"))):
        table = open_table(source, as_text=["id"])
        assert ("year" in table.types) == (kind == "parquet")
        assert "day" not in table.types
        whole = pl.concat(table.chunks())
        for elsewhere in (False, True):
            pieces = pieces_of(table, elsewhere=elsewhere, each_file=True)
            again = [pickle.loads(pickle.dumps(piece)) for piece in pieces]
            assert pl.concat(f for p in again for f in p.open().chunks()).equals(whole)


def test_small_files_are_read_together_and_large_ones_in_parts(tmp_path, monkeypatch):
    frame = _frame().with_columns(y=pl.int_range(N).shuffle(seed=0))
    cuts = [0, 5, 10, 800, N]
    for at in range(4):
        frame[cuts[at] : cuts[at + 1]].write_parquet(tmp_path / f"{at}.parquet")
    small, large = ((tmp_path / f"{at}.parquet").stat().st_size for at in (0, 2))
    monkeypatch.setattr(cutting, "_LEAST_BYTES", 2 * small + 1)
    monkeypatch.setattr(cutting, "_PIECE_BYTES", large // 2 + 1)
    pieces = pieces_of(open_table(tmp_path))
    found = [(len(piece.files), piece.rows) for piece in pieces]
    assert found[:3] == [(2, None), (1, (0, 395)), (1, (395, 790))]
    assert pl.concat(f for p in pieces for f in p.open().chunks()).equals(frame)


def test_sparse_text_is_one_piece(tmp_path, client):
    path = tmp_path / "rows.svm"
    rng = np.random.default_rng(0)
    path.write_text("".join(f"{x > 0:d} 1:{x:.3f} 2:1\n" for x in rng.normal(size=300)))
    model = fit_table(path, "label", validation=0.0).model
    np.testing.assert_array_equal(model.predict(path, client=client), model.predict(path))
    assert evaluate(model, path, client=client) == evaluate(model, path)


class TestParts:
    def test_hold_what_the_model_predicts(self, home, models, client, tmp_path):
        out, model = tmp_path / "new" / "parts", models["two"]
        parts = predict_parts(model, home / "csv", out, client=client, keep=["id"])
        names = [f"part-{at:05}.parquet" for at in range(4)]
        assert sorted(p.name for p in out.iterdir()) == ["_SUCCESS", *names]
        assert [path.name for path in out.parent.iterdir()] == ["parts"]
        told = json.loads((out / "_SUCCESS").read_text())
        assert [part["rows"] for part in told["parts"]] == np.diff(CUTS).tolist()
        assert (told["rows"], told["unseen"], len(parts)) == (N, {}, 4)
        for part, path in zip(told["parts"], sorted(out.glob("*.parquet")), strict=True):
            content = path.read_bytes()
            assert part["file"] == path.name
            assert part["bytes"] == len(content)
            assert part["sha256"] == hashlib.sha256(content).hexdigest()
        found = pl.concat(map(pl.read_parquet, sorted(out.glob("*.parquet"))))
        assert found.equals(pl.concat(model.predict_batches(home / "csv", keep=["id"])))
        assert found["id"].to_list() == _frame()["id"].to_list()

    def test_are_the_same_without_a_cluster(self, home, models, client, tmp_path):
        for name, with_client in (("there", client), ("here", None)):
            how = {"client": with_client, "interval": 0.9}
            predict_parts(models["number"], home / "csv", tmp_path / name, **how)
        for path in (tmp_path / "there").iterdir():
            assert path.read_bytes() == (tmp_path / "here" / path.name).read_bytes()

    def test_count_what_training_did_not_see(self, models, client, tmp_path):
        _frame().with_columns(level=pl.lit("new")).write_csv(tmp_path / "a.csv")
        _frame().write_csv(tmp_path / "b.csv")
        model = models["two"]
        predict_parts(model, str(tmp_path / "*.csv"), tmp_path / "parts", client=client)
        assert model.unseen == {"level": N}
        told = json.loads((tmp_path / "parts" / "_SUCCESS").read_text())
        assert told["unseen"] == {"level": N}

    def test_without_rows_have_their_columns(self, home, models, client, tmp_path):
        _frame().head(0).write_parquet(tmp_path / "none.parquet")
        table = tmp_path / "none.parquet"
        predict_parts(models["two"], table, tmp_path / "parts", client=client, keep=["id"])
        found = pl.read_parquet(tmp_path / "parts" / "part-00000.parquet")
        assert (found.height, found.columns[:2]) == (0, ["id", "prediction"])

    def test_leave_nothing_if_one_fails(self, home, models, client, tmp_path):
        for at in range(3):
            _frame().write_csv(tmp_path / f"{at}.csv")
        with (tmp_path / "1.csv").open("a") as file:
            file.write("too,few\n")
        with pytest.raises(InvalidTable, match=r"1\.csv, line 902: the row has 2 fields"):
            predict_parts(models["two"], str(tmp_path / "*.csv"), tmp_path / "parts", client=client)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["0.csv", "1.csv", "2.csv"]

    def test_are_written_again_after_a_task_was_cut_off(self, home, models, tmp_path):
        """A task that ends in the middle leaves no part; the next attempt has the same bytes."""
        model, piece = models["two"], pieces_of(open_table(home / "one.parquet"))[0]
        task = by_pieces._Predict(PredictionColumns(model), tmp_path)
        numbered = by_pieces._Numbered(0, piece)
        first = task(None, numbered)
        content = (tmp_path / first.file).read_bytes()
        (tmp_path / first.file).unlink()

        def cut_off(self, frame):
            raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(model), "scores", cut_off)
            with pytest.raises(KeyboardInterrupt):
                task(None, numbered)
        assert list(tmp_path.iterdir()) == []
        assert task(None, numbered) == first
        assert task(None, numbered) == first  # as a second worker may do that was thought dead
        assert (tmp_path / first.file).read_bytes() == content

    def test_are_not_written_once_the_folder_is_gone(self, home, models, tmp_path):
        """As by a worker that has not heard yet that another one failed."""
        piece = pieces_of(open_table(home / "one.parquet"))[0]
        with temporary_folder(tmp_path) as folder:
            task = by_pieces._Predict(PredictionColumns(models["two"]), folder)
        with pytest.raises(CannotWrite, match="No such file"):
            task(None, by_pieces._Numbered(0, piece))
        assert list(tmp_path.iterdir()) == []

    def test_are_refused_where_something_is(self, home, models, client, tmp_path):
        with pytest.raises(CannotWrite, match="exists already"):
            predict_parts(models["two"], home / "csv", tmp_path, client=client)


class TestRefused:
    def test_a_table_that_no_worker_finds(self, models, client, tmp_path):
        for how in (models["two"].predict, lambda t, **k: evaluate(models["two"], t, **k)):
            with pytest.raises(InvalidParameter, match="name files that all workers find"):
                how(_frame(), client=client)

    def test_a_file_that_a_worker_does_not_see(self, home, tmp_path):
        _frame().write_csv(tmp_path / "a.csv")
        piece = pieces_of(open_table(tmp_path / "a.csv"))[0]
        (tmp_path / "a.csv").unlink()
        with pytest.raises(InvalidTable, match="is not there for a worker on"):
            piece.open()

    def test_a_file_that_has_changed(self, tmp_path):
        _frame().write_csv(tmp_path / "a.csv")
        piece = pieces_of(open_table(tmp_path / "a.csv"))[0]
        _frame().head(5).write_csv(tmp_path / "a.csv")
        with pytest.raises(InvalidTable, match=r"a\.csv changed while"):
            piece.open()


class TestCommandLine:
    @pytest.fixture
    def gradstep(self, client, monkeypatch, capsys, models, tmp_path):
        """Return a function that runs the command line with the cluster: what it told."""
        save(models["two"], tmp_path / "m.safetensors")

        def run(*words, status=0):
            monkeypatch.setattr(sys, "argv", ["gradstep", *map(str, words)])
            with pytest.raises(SystemExit, match=rf"\A{status}\Z"):
                main()
            return capsys.readouterr()

        return run

    def test_predicts_and_evaluates(self, gradstep, client, home, tmp_path):
        model, where = tmp_path / "m.safetensors", client.scheduler.address
        out = tmp_path / "parts"
        words = ("predict", model, home / "csv", "-o", out, "--keep", "id", "--dask", where)
        assert gradstep(*words).out == f"900 predictions in {out}\n"
        assert pl.read_parquet(out / "*.parquet")["id"].to_list() == _frame()["id"].to_list()
        told = [
            json.loads(gradstep("evaluate", model, home / "csv", "--json", *how).out)
            for how in ((), ("--dask", where))
        ]
        assert told[0] == told[1]
        assert load(model).classes_.tolist() == ["no", "yes"]

    @pytest.mark.parametrize(
        "words, message",
        [
            (("--dask", "local:1"), "name it without a suffix"),
            (("--dask", "local:1", "-o", "x.csv"), "name it without a suffix .-o DIR., not x.csv"),
            (("--allow-mixed",), "--allow-mixed would change nothing: it is a part of --dask"),
        ],
    )
    def test_refuses(self, gradstep, home, tmp_path, words, message):
        err = gradstep("predict", tmp_path / "m.safetensors", home / "csv", *words, status=1).err
        assert re.search(message, " ".join(err.split()))
