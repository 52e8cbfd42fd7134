"""What a person would spot at a glance is said: leaks, row numbers, -999, classes that are none."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import gradstep as gs
from gradstep.data.features.splits import Splits
from gradstep.data.sources import table as tables
from gradstep.fit.too_good import _is_perfect

N = 400
RNG = np.random.default_rng(3)
X = RNG.normal(size=N)
SURVIVED = (X + RNG.normal(scale=2.0, size=N) > 0.0).astype(int)
TABLE = pl.DataFrame({"x": X, "word": RNG.choice(["a", "b", "c"], N), "survived": SURVIVED})
KIND = RNG.choice(["first", "second", "third"], N)


def notes(table, target, **options):
    return gs.prepare(table, target, **options).meta["warnings"]


@pytest.fixture(params=[64, 1 << 16])
def chunks(request, monkeypatch):
    """Whatever the size of chunks."""
    monkeypatch.setattr(tables, "_MOST_CHUNK_ROWS", request.param)


@pytest.mark.usefixtures("chunks")
class TestLeaks:
    @pytest.mark.parametrize("codes", [("no", "yes"), ("alive", "dead"), (1, 2), (False, True)])
    def test_a_target_in_other_words(self, codes):
        alive = pl.Series([codes[one] for one in SURVIVED])
        (note,) = notes(TABLE.with_columns(alive=alive), "survived")
        assert note.startswith("GS001: Column 'alive' ")
        assert '(drop=["alive"])' in note

    def test_codes_of_classes(self):
        table = pl.DataFrame({"x": X, "kind": KIND}).with_columns(
            code=pl.col("kind").replace_strict({"first": 7, "second": 1, "third": 4})
        )
        (note,) = notes(table, "kind")
        assert "Column 'code' is the target 'kind' in other words (1 is second, 4 is third" in note

    def test_not_once_rows_differ(self):
        alive = np.array(["no", "yes"])[SURVIVED]
        for last in (SURVIVED == 0, SURVIVED == 1):
            at = np.flatnonzero(last)[-1]
            alive[at] = "no" if SURVIVED[at] else "yes"
        found = notes(TABLE.with_columns(alive=pl.Series(alive)), "survived")
        assert not any("in other words" in note or "by itself" in note for note in found)

    def test_a_level_that_decides(self):
        boat = [None if not s else f"b{i % 2}" for i, s in enumerate(SURVIVED)]
        (note,) = notes(TABLE.with_columns(boat=pl.Series(boat)), "survived")
        assert "Column 'boat' decides 'survived' by itself in" in note
        assert "b0 is always 1" in note
        assert 'drop=["boat"]' in note

    def test_a_copy(self):
        (note,) = notes(pl.DataFrame({"x": X, "kind": KIND, "again": KIND}), "kind")
        assert "'again' is a copy of the target" in note

    @pytest.mark.parametrize("of", [0, 1])
    @pytest.mark.parametrize("kind", [pl.Float64, pl.Date])
    def test_missing_where_the_target_has_one_class(self, of, kind):
        days = 19_000 + 7 * pl.arange(N, dtype=pl.Int32, eager=True).shuffle(seed=2)
        days = days.scatter(np.flatnonzero(of == SURVIVED), None).cast(kind)
        (note,) = notes(TABLE.with_columns(day=days), "survived")
        n = int((of == SURVIVED).sum())
        gone = f"is missing in all {n} rows where 'survived' is {of}, and in no other"
        there = f"has a value in all rows where 'survived' is {1 - of}, and is missing in the {n} "
        assert note[7:].startswith((f"Column 'day' {gone}.", f"Column 'day' {there}others."))
        for at in (np.flatnonzero(of == SURVIVED)[-1], np.flatnonzero(of != SURVIVED)[-1]):
            value = days.max() if days[int(at)] is None else None
            other = days.scatter(int(at), value)
            assert notes(TABLE.with_columns(day=other), "survived") == []

    def test_missing_unless_one_of_three_classes(self):
        size = pl.Series(np.where(KIND == "second", X, np.nan))
        (note,) = notes(pl.DataFrame({"x": X, "kind": KIND, "size": size}), "kind")
        assert "Column 'size' has a value in all rows where 'kind' is second, and is miss" in note

    def test_a_threshold(self):
        paid = np.where(SURVIVED == 1, 0.5 + np.exp(X), 0.0)
        lowest = f"{paid[SURVIVED == 1].min():g}"
        paid[:3] = np.nan  # where it is missing it tells nothing
        for values, words in (
            (paid, f"at most 0 wherever 'survived' is 0, and at least {lowest} wherever it is 1"),
            (1 - paid, f"at most {1 - float(lowest):g} wherever 'survived' is 1, and at least 1 "),
        ):
            (note,) = notes(TABLE.with_columns(paid=pl.Series(values)), "survived")
            assert f"Column 'paid' is {words}" in note
            assert 'drop=["paid"]' in note
        paid[np.flatnonzero(SURVIVED == 0)[-1]] = 0.6
        assert notes(TABLE.with_columns(paid=pl.Series(paid)), "survived") == []

    def test_a_threshold_of_few_rows_is_luck(self):
        paid = pl.Series(SURVIVED + 0.9 * np.abs(np.tanh(X)))
        assert notes(TABLE.with_columns(paid=paid).head(199), "survived") == []

    def test_nothing_of_an_honest_table(self):
        assert notes(TABLE, "survived") == []
        assert notes(TABLE, "x") == []


@pytest.mark.filterwarnings("ignore:GS00[12]")
def test_a_score_that_is_too_good(tmp_path, monkeypatch):
    """Whatever the column is: the one that matters most is named."""
    monkeypatch.chdir(tmp_path)
    table = TABLE.with_columns(y=2.0 * pl.col("x") + 1e-3 * pl.Series(RNG.normal(size=N)))
    fit = gs.fit_table(table.with_columns(pl.col("x") ** 1), "y", validation=0.25)
    assert any("'x'" in note and 'drop=["x"]' in note for note in fit.notes)


@pytest.mark.parametrize("last, left", [(5.0, {"paid"}), (0.1, set())])
def test_splits_of_other_pieces(last, left):
    """A piece is looked at by a search that was begun by another one."""
    first = pl.DataFrame({"paid": [0.0, 1.0] * 100, "day": [None, 4] * 100})
    later = pl.DataFrame({"paid": [0.2, last], "day": [4, 4]}, schema=first.schema)
    one = Splits.of(first, pl.Series(["no", "yes"] * 100), ["paid", "day"], ["paid", "day"])
    assert (set(one.ranges), one.missing) == ({"paid"}, {"day": ("no", True)})
    other = one.begun()
    other.confirm(later, pl.Series(["no", "yes"]))
    one.merge(other)
    assert (set(one.ranges), one.missing) == (left, {})


class TestScoreWithoutAnError:
    """Of classes: two columns of which each alone has the target by halves, and an honest one."""

    def of(self, n, **options):
        rng = np.random.default_rng(2)
        paid, sent = rng.normal(size=(2, n))
        apart = np.where(paid + sent > 0.0, 0.05, -0.05)
        table = pl.DataFrame({
            "paid": paid + apart, "age": rng.normal(size=n), "sent": sent + apart,
            "kept": paid + sent > 0.0,
        })  # fmt: skip
        fit = gs.fit_table(table, "kept", validation=0.25, alpha=1e-3, inference="none", **options)
        assert fit.validation["accuracy"] == 1.0
        assert fit.validation["log_loss"] > 0.01 * fit.baseline["log_loss"]
        return [note.text for note in fit.notes if note.code == "GS002"]

    @pytest.mark.filterwarnings("ignore:GS002")
    def test_names_all_columns_that_matter(self):
        (text,) = self.of(1000)
        assert "most of all by 'paid', then by 'sent'. If" in text or (
            "most of all by 'sent', then by 'paid'. If" in text
        )
        assert "'age'" not in text

    def test_of_few_rows_is_luck(self):
        assert self.of(320) == []


def perfect(rows, accuracy, auc=1.0, constant=0.5, log_loss=0.1):
    """Tell whether these metrics of a model are too good."""
    found = {"rows": rows, "accuracy": accuracy, "auc": auc, "log_loss": log_loss}
    return _is_perfect(found, {"accuracy": constant, "log_loss": 0.7})


def test_when_classes_are_too_good():
    assert perfect(200, 1.0)
    assert perfect(200, 0.99)  # all ranked aright
    assert perfect(200, 1.0, auc=0.0)  # of three classes there is none
    assert not perfect(200, 0.99, auc=0.999)
    assert not perfect(199, 1.0)
    assert perfect(100, 1.0, log_loss=0.02)
    assert not perfect(99, 1.0, log_loss=0.02)
    assert perfect(50, 1.0, log_loss=0.006)
    assert not perfect(49, 1.0, log_loss=0.0)
    assert not perfect(2000, 1.0, constant=0.995)  # ten rows are of the other class


@pytest.mark.parametrize("target", ["y", "late"])
def test_a_score_that_a_constant_has(target):
    rng = np.random.default_rng(4)
    noise = pl.DataFrame({name: rng.normal(size=N) for name in ("x", "z", "y")})
    noise = noise.with_columns(late=pl.col("y") > 0.5).select("x", "z", target)
    asked = {"validation": 0.5, "alpha": 1e-6, "refit": False, "polynomials": {"x": 5, "z": 5}}
    fit = gs.fit_table(noise, target, **asked)
    assert any(
        note.startswith("GS201: The model is no better than a constant") for note in fit.notes
    )


class TestOddNumbers:
    @pytest.mark.parametrize("value", [-999, -9999, 9999, 99999])
    def test_that_may_be_missing(self, value):
        x = [value if i % 9 == 0 else abs(v) for i, v in enumerate(X)]
        (note,) = notes(TABLE.with_columns(x=pl.Series(x, dtype=pl.Float64)), "survived")
        assert f"Column 'x' is {value} in 45 rows" in note
        assert f'na=["{value}"]' in note

    def test_that_are_the_end_of_a_range(self):
        """999 among numbers up to 998 is one of them."""
        x = RNG.integers(0, 999, N)
        x[0] = 999
        assert notes(TABLE.with_columns(x=pl.Series(x)), "survived") == []
        assert notes(TABLE.with_columns(x=pl.Series(x - 1998.0)), "survived") == []

    @pytest.mark.parametrize("first", [0, 1])
    def test_of_the_rows(self, first):
        table = TABLE.with_columns(id=pl.arange(first, N + first, eager=True).shuffle(seed=1))
        (note,) = notes(table, "survived")
        assert "Column 'id' numbers the rows" in note

    def test_of_the_rows_without_a_name(self, tmp_path):
        """As pandas writes its index: left out."""
        TABLE.with_row_index("").write_csv(tmp_path / "t.csv")
        prepared = gs.prepare(tmp_path / "t.csv", "survived")
        assert prepared.encoding.sources == ["x", "word"]
        (left_out,) = [c for c in prepared.encoding.columns if c.source == ""]
        assert "numbers the rows" in left_out.reason
        model = gs.fit_table(tmp_path / "t.csv", "survived", max_iter=2).model
        np.testing.assert_array_equal(model.predict(TABLE), model.predict(tmp_path / "t.csv"))

    @pytest.mark.parametrize("rows", [range(N), [i % 200 for i in range(N)]])
    def test_of_the_rows_in_a_file_of_pandas(self, tmp_path, rows):
        """An index that is no range is a column in Parquet; of joined frames it repeats itself."""
        path = tmp_path / "t.parquet"
        frame = TABLE.to_pandas().set_axis(rows).sample(frac=1.0, random_state=0)
        frame.to_parquet(path)
        assert "__index_level_0__" in pl.read_parquet_schema(path)
        encoding = gs.prepare(path, "survived").encoding
        assert encoding.sources == ["x", "word"]
        (left_out,) = [c for c in encoding.columns if c.source == "__index_level_0__"]
        assert "numbers the rows" in left_out.reason


def identifiers(table, **options):
    told = notes(table, "survived", **options)
    return [note.split("'")[1] for note in told if note.startswith("GS018")]


@pytest.mark.usefixtures("chunks")
class TestIdentifiers:
    @pytest.mark.parametrize("numbers", [
        RNG.permutation(np.arange(5, 3 * N))[:N],  # given out one by one, some gone
        RNG.choice(90_000, N, replace=False) + 10_000,
        RNG.choice(9_000_000, N, replace=False) + 1_000_000,
    ])  # fmt: skip
    def test_numbers_that_come_once(self, numbers):
        table = TABLE.with_columns(key=pl.Series(numbers))
        (note,) = [note for note in notes(table, "survived") if "'key'" in note]
        assert note.startswith("GS018: Column 'key' has another whole number in each row")
        assert note.endswith('drop=["key"].')
        assert identifiers(table, kinds={"key": "number"}) == []
        assert identifiers(TABLE.with_columns(key=pl.Series([numbers[1], *numbers[1:]]))) == []

    @pytest.mark.parametrize(
        "name", ["id", "ID", "PassengerId", "store_id", "customer.ID", "HTTPId", "zip"]
    )
    def test_names(self, name):
        table = TABLE.with_columns(pl.Series(name, RNG.integers(1, 60, N)))
        (note,) = [note for note in notes(table, "survived") if note.startswith("GS018")]
        assert f"Column {name!r} is named like an identifier" in note
        assert f'kinds={{"{name}": "category"}}' in note

    def test_quantities_are_none(self):
        table = TABLE.with_columns(
            people=pl.Series(np.exp(RNG.normal(8.0, 1.5, N)) * 1000.0).round(),
            year=pl.Series(RNG.permutation(np.arange(1500, 1500 + N))),
            width=pl.Series(RNG.integers(10, 99, N)), humid=pl.Series(RNG.integers(0, 9, N)),
            idle=pl.Series(RNG.normal(size=N)), has_phone=pl.Series(np.arange(N) % 2),
            phone_calls=pl.Series(RNG.integers(0, 50, N)), n_ids=pl.Series(RNG.integers(0, 50, N)),
            stamp=pl.Series(1_700_000_000 + RNG.permutation(9 * N)[:N]),
            day=pl.Series(20_240_100 + RNG.permutation(2 * N)[:N]),
        )  # fmt: skip
        assert table["people"].n_unique() == N
        assert identifiers(table) == []


class TestManyClasses:
    def test_of_numbers(self):
        table = TABLE.with_columns(y=pl.Series(np.arange(N) % 60))
        (note,) = notes(table, "y", task="classification")
        assert "'y' is one of 60 classes in 400 rows, and they are numbers" in note
        assert 'task="regression"' in note

    def test_of_text_that_reads_as_numbers(self, tmp_path):
        """In a file with types: a regression, if they are many."""
        table = TABLE.with_columns(y=pl.Series(np.arange(N) % 60 + 0.5).cast(pl.String))
        table.write_parquet(tmp_path / "t.parquet")
        prepared = gs.prepare(tmp_path / "t.parquet", "y")
        assert prepared.target.classes is None
        assert "GS009: Text is read as numbers: y." in prepared.meta["warnings"]
        few = TABLE.with_columns(y=pl.Series(np.arange(N) % 3).cast(pl.String))
        assert gs.prepare(few, "y").target.classes == ("0", "1", "2")

    def test_of_text(self):
        table = TABLE.with_columns(y=pl.Series([f"t{i % 60}" for i in range(N)]))
        assert "'y' is one of 60 classes in 400 rows" in notes(table, "y")[0]

    def test_levels_that_read_as_numbers(self):
        table = TABLE.with_columns(zip=pl.Series([f"{i % 70:05}" for i in range(N)]))
        (note,) = notes(table, "survived")
        assert "'zip' is text that reads as numbers" in note
        assert 'kinds={"zip": "number"}' in note
        kinds = gs.prepare(table, "survived", kinds={"zip": "number"}).encoding.numbers
        assert [c.source for c in kinds] == ["x", "zip"]
