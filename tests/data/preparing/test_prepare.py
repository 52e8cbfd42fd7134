"""Prepared tables: every row once, shuffled exactly, the same bits by every road.

The target of most tables here is the number of the row, so that it says where each row went.
"""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import PoissonRegressor

import gradstep
from gradstep import InvalidParameter, InvalidTable, prepare
from gradstep.data.preparing import first_pass, second_pass
from gradstep.data.preparing import prepare as making
from gradstep.data.preparing.placing import with_offset
from gradstep.data.sources import table as tables
from gradstep.rows.kernels.shuffling import Buckets
from tests.data.cases import bits, in_tiny_pieces, numbered
from tests.examples import examples
from tests.uncompiled import uncompiled

SOME = examples(30)


def order(prepared):
    return prepared.train.y[:, 0].astype(int)


def looks_uniform(counts):
    """Tell whether the counts of equally likely cells are as uneven as chance makes them."""
    counts = np.asarray(counts, dtype=float)
    expected = counts.sum() / counts.size
    chi_square = np.sum((counts - expected) ** 2) / expected
    return abs(chi_square - counts.size + 1) < 5.0 * np.sqrt(2.0 * counts.size)


def looks_shuffled(rows):
    """Tell whether few rows stand where they were, or beside the row that they were beside."""
    ranks = np.argsort(np.argsort(rows))
    return np.sum(ranks == np.arange(ranks.size)) < 10 and np.sum(abs(np.diff(ranks)) == 1) < 15


class TestRows:
    @SOME
    @given(st.integers(2, 300), st.floats(0.0, 0.6), st.integers(0, 2**63))
    def test_every_row_is_there_once(self, n, share, seed):
        try:
            prepared = prepare(
                numbered(n), "y", task="regression", validation=share, random_state=seed
            )
        except InvalidTable as error:
            assert "none to train on" in str(error)  # noqa: PT017
            return
        held_out = [] if prepared.validation is None else prepared.validation.y[:, 0].tolist()
        assert held_out == sorted(held_out)
        assert sorted([*order(prepared).tolist(), *held_out]) == list(range(n))

    def test_of_many_chunks_and_buckets(self, monkeypatch, tmp_path):
        in_tiny_pieces(monkeypatch)
        for out in (None, tmp_path / "p"):
            prepared = prepare(numbered(1000), "y", validation=0.2, out=out)
            both = np.concatenate([prepared.train.y, prepared.validation.y])[:, 0]
            assert sorted(both.tolist()) == list(range(1000))

    @pytest.mark.parametrize("disk", [False, True])
    def test_a_row_stays_together(self, disk, monkeypatch, tmp_path):
        in_tiny_pieces(monkeypatch)
        table = numbered(500)
        out = tmp_path / "p" if disk else None
        prepared = prepare(table, "y", sample_weight="w", validation=0.2, out=out)
        encoding = prepared.encoding
        z = encoding.numbers[1]
        for data in (prepared.train, prepared.validation):
            at = data.y[:, 0].astype(int)
            np.testing.assert_allclose(data.rows.values[:, 1] * z.scale + z.mean, 10.0 * at)
            names = [encoding.feature_name(code) for code in data.rows.codes[:, 0]]
            assert names == [f"colour={c}" for c in table["colour"].gather(at)]
            np.testing.assert_array_equal(data.sample_weight, table["w"].gather(at))
            missing = table["x"].is_null().gather(at).to_numpy()
            np.testing.assert_array_equal(data.rows.values[:, 2], missing.astype(float))

    def test_rows_without_a_target_are_nowhere(self):
        table = numbered(300).with_columns(
            pl.when(pl.col("y") % 7 == 3).then(None).otherwise("y").alias("y")
        )
        prepared = prepare(table, "y", validation=0.2)
        both = np.concatenate([prepared.train.y, prepared.validation.y])[:, 0]
        assert sorted(both.tolist()) == [i for i in range(300) if i % 7 != 3]


class TestShuffled:
    @pytest.mark.parametrize("disk", [False, True])
    @pytest.mark.parametrize("pieces", [False, True])
    def test_rows_leave_their_places(self, disk, pieces, monkeypatch, tmp_path):
        if pieces:
            in_tiny_pieces(monkeypatch)
        out = tmp_path / "p" if disk else None
        assert looks_shuffled(order(prepare(numbered(3000), "y", validation=0.1, out=out)))

    @pytest.mark.parametrize("disk", [False, True])
    def test_the_check_sees_a_bucket_that_is_not_permuted(self, disk, monkeypatch, tmp_path):
        """As it must: rows that share a bucket would stay in the order of arrival."""

        def as_they_came(buckets, lo, hi):
            return np.arange(hi - lo, dtype=np.uint32)

        def places_as_they_came(buckets):
            return np.arange(buckets.spans()[-1][1], dtype=np.uint32)

        monkeypatch.setattr(Buckets, "permutation", as_they_came)
        monkeypatch.setattr(Buckets, "final_places", places_as_they_came)
        out = tmp_path / "p" if disk else None
        assert not looks_shuffled(order(prepare(numbered(3000), "y", validation=0.0, out=out)))

    @pytest.mark.parametrize("bucket_rows", [1, 2, 100])
    def test_every_order_is_equally_likely(self, bucket_rows):
        cells = {p: k for k, p in enumerate(permutations(range(4)))}
        seen = []
        for seed in range(4800):
            buckets = Buckets(4, seed, bucket_rows)
            rows = np.empty(4, int)
            rows[buckets.places(0, 4)] = np.arange(4)
            for lo, hi in buckets.spans():
                rows[lo:hi] = rows[lo:hi][buckets.permutation(lo, hi)]
            seen.append(cells[tuple(rows.tolist())])
        assert looks_uniform(np.bincount(seen, minlength=24))

    def test_every_order_of_a_table_is_equally_likely(self):
        cells = {p: k for k, p in enumerate(permutations(range(3)))}
        table = numbered(3, gaps=False)
        seen = [
            cells[tuple(order(prepare(table, "y", validation=0.0, random_state=seed)).tolist())]
            for seed in range(120)
        ]
        assert looks_uniform(np.bincount(seen, minlength=6))

    def test_seeds_of_numpy_are_seeds(self, tmp_path):
        prepared = prepare(numbered(40), "y", random_state=np.int64(3), out=tmp_path / "p")
        assert bits(prepared) == bits(prepare(numbered(40), "y", random_state=3))

    def test_seeds_differ(self):
        orders = {
            tuple(order(prepare(numbered(40), "y", random_state=s)).tolist()) for s in range(20)
        }
        assert len(orders) == 20


class TestRoads:
    """Whatever road the rows take, they come out with the same bits."""

    OPTIONS = {"validation": 0.2, "sample_weight": "w", "random_state": 3}  # noqa: RUF012

    def test_disk(self, monkeypatch, tmp_path):
        in_tiny_pieces(monkeypatch)
        memory = prepare(numbered(1000), "y", **self.OPTIONS)
        disk = prepare(numbered(1000), "y", out=tmp_path / "p", **self.OPTIONS)
        assert disk.folder == tmp_path / "p"
        assert isinstance(disk.train.rows.values, np.memmap)
        assert bits(disk) == bits(memory)
        assert (disk.encoding, disk.target) == (memory.encoding, memory.target)

    def test_larger_than_memory(self, monkeypatch, tmp_path):
        monkeypatch.setenv("GRADSTEP_CACHE_DIR", str(tmp_path))
        memory = prepare(numbered(1000), "y", **self.OPTIONS)
        monkeypatch.setattr(making, "LEAST_MEMORY", 1)
        disk = prepare(numbered(1000), "y", memory=1000, **self.OPTIONS)
        assert isinstance(disk.train.rows.values, np.memmap)
        assert bits(disk) == bits(memory)
        assert len(list((tmp_path / "scratch").iterdir())) == 1
        del disk
        assert list((tmp_path / "scratch").iterdir()) == []

    @pytest.mark.parametrize("cuts", [[0, 500, 1000], [0, 1, 64, 65, 999, 1000]])
    def test_files(self, cuts, monkeypatch, tmp_path):
        monkeypatch.setattr(tables, "_MOST_CHUNK_ROWS", 64)
        table = numbered(1000)
        for k, (lo, hi) in enumerate(pairwise(cuts)):
            table[lo:hi].write_parquet(tmp_path / f"{k}.parquet")
        assert bits(prepare(tmp_path, "y", **self.OPTIONS)) == bits(
            prepare(table, "y", **self.OPTIONS)
        )

    def test_threads(self, monkeypatch):
        monkeypatch.setattr(tables, "_MOST_CHUNK_ROWS", 64)
        many = prepare(numbered(1000), "y", **self.OPTIONS)
        monkeypatch.setattr(second_pass, "_THREADS", 1)
        assert bits(prepare(numbered(1000), "y", **self.OPTIONS)) == bits(many)

    def test_read_twice(self, monkeypatch):
        """As tables are that are too large to be kept from the first pass."""
        monkeypatch.setattr(tables, "_MOST_CHUNK_ROWS", 64)
        kept = prepare(numbered(1000), "y", **self.OPTIONS)
        monkeypatch.setattr(first_pass, "_KEPT_BYTES", 0)
        assert bits(prepare(numbered(1000), "y", **self.OPTIONS)) == bits(kept)

    def test_twice(self):
        assert bits(prepare(numbered(300), "y")) == bits(prepare(numbered(300), "y"))


class TestHeldOut:
    def test_by_position_alone(self):
        """Whatever else the table holds, and whatever values."""
        one = prepare(numbered(2000), "y", validation=0.2, random_state=5)
        other = numbered(2000, seed=9).with_columns(more=pl.lit(1.0) * pl.col("y") % 3)
        two = prepare(other, "y", validation=0.2, random_state=5, drop="colour")
        np.testing.assert_array_equal(one.validation.y, two.validation.y)
        assert abs(one.validation.n - 400) < 90

    def test_by_seed(self):
        held = {
            tuple(prepare(numbered(200), "y", random_state=s).validation.y[:, 0].tolist())
            for s in range(10)
        }
        assert len(held) == 10

    def test_the_first_rows_of_a_longer_table_are_the_same(self):
        short = prepare(numbered(500), "y").validation.y[:, 0]
        long = prepare(numbered(900), "y").validation.y[:, 0]
        np.testing.assert_array_equal(long[long < 500], short)

    def test_a_table_of_its_own(self):
        table, other = numbered(300), numbered(100, seed=4)
        prepared = prepare(table, "y", sample_weight="w", validation_table=other)
        whole = prepare(table, "y", sample_weight="w", validation=0.0)
        assert bits(whole).items() <= bits(prepared).items()
        np.testing.assert_array_equal(prepared.validation.y[:, 0], other["y"])
        np.testing.assert_array_equal(prepared.validation.sample_weight, other["w"])
        expected = prepared.encoding.encode(other)
        np.testing.assert_array_equal(prepared.validation.rows.values, expected.values)
        np.testing.assert_array_equal(prepared.validation.rows.codes, expected.codes)

    def test_a_file_of_its_own_is_read_as_the_first(self, tmp_path):
        """Its text is text although it holds nothing but digits."""
        pl.DataFrame({"zip": ["01", "2", "x"] * 20, "y": range(60)}).write_csv(tmp_path / "a.csv")
        pl.DataFrame({"zip": ["01", "2"] * 5, "y": range(10)}).write_csv(tmp_path / "b.csv")
        prepared = prepare(tmp_path / "a.csv", "y", validation_table=tmp_path / "b.csv")
        names = [prepared.encoding.feature_name(c) for c in prepared.validation.rows.codes[:, 0]]
        assert names == ["zip=01", "zip=2"] * 5

    @pytest.mark.parametrize("kind", [pl.Float64, pl.Date, pl.Datetime("ms")])
    def test_the_latest(self, kind, monkeypatch):
        monkeypatch.setattr(tables, "_MOST_CHUNK_ROWS", 64)
        days = np.random.default_rng(0).permutation(500)
        table = numbered(500).with_columns(t=pl.Series(days).cast(pl.Int64).cast(kind))
        prepared = prepare(table, "y", time_column="t", validation=0.1)
        held_out = prepared.validation.y[:, 0].astype(int)
        assert sorted(days[held_out].tolist()) == list(range(450, 500))

    def test_the_latest_of_few_times(self):
        """All rows of the last time, although they are more than were asked for."""
        table = numbered(300).with_columns(t=pl.Series([2021, 2022, 2023] * 100))
        prepared = prepare(table, "y", time_column="t", validation=0.1)
        assert set((prepared.validation.y[:, 0] % 3).tolist()) == {2.0}
        assert prepared.validation.n == 100


class TestOffsets:
    EXPOSURE = np.random.default_rng(0).uniform(0.5, 4.0, 400)

    def claims(self):
        rng = np.random.default_rng(1)
        x = rng.normal(size=400)
        y = rng.poisson(self.EXPOSURE * np.exp(0.5 * x - 0.3)).astype(float)
        return pl.DataFrame({"x": x, "log_exposure": np.log(self.EXPOSURE), "y": y})

    def test_counts_become_rates_that_weigh_their_exposure(self):
        prepared = prepare(
            self.claims(), "y", offset="log_exposure", log_power=1.0, validation=0.0, random_state=1
        )
        plain = prepare(self.claims(), "y", drop="log_exposure", validation=0.0, random_state=1)
        rates = prepared.train.y[:, 0] * prepared.train.sample_weight
        np.testing.assert_allclose(rates, plain.train.y[:, 0], rtol=1e-14, atol=1e-14)
        np.testing.assert_allclose(np.sort(prepared.train.sample_weight), np.sort(self.EXPOSURE))

    @pytest.mark.parametrize("power", [None, 1.0, 1.5, 2.0])
    def test_slopes_are_those_with_the_offset(self, power):
        rng = np.random.default_rng(2)
        y, z, offset = rng.uniform(0.1, 3.0, 20), rng.normal(size=20), rng.normal(size=20)
        weight = rng.uniform(0.5, 2.0, 20)

        def slope(y, z):
            return z - y if power is None else np.exp(z) ** (1 - power) * (np.exp(z) - y)

        target, weights = with_offset(y, weight, offset, power)
        np.testing.assert_allclose(weights * slope(target, z), weight * slope(y, z + offset))

    @uncompiled
    def test_as_scikit_learn_on_rates(self):
        table = self.claims()
        x = table["x"].to_numpy()
        scaled = ((x - x.mean()) / x.std())[:, None]
        oracle = PoissonRegressor(alpha=1e-4, tol=1e-8).fit(
            scaled, table["y"] / self.EXPOSURE, sample_weight=self.EXPOSURE
        )
        fit = gradstep.fit_table(
            table, "y", loss="poisson", offset="log_exposure", validation=0.0, batch_size=400,
            learning_rate="constant", max_iter=300, tol=None,
        )  # fmt: skip
        expected = oracle.predict(scaled) * self.EXPOSURE
        np.testing.assert_allclose(fit.model.predict(table), expected, rtol=1e-4)


class TestTold:
    def test_statistics_are_those_of_numpy(self, monkeypatch):
        monkeypatch.setattr(tables, "_MOST_CHUNK_ROWS", 64)
        table = numbered(1000)
        meta = prepare(table, "y").meta
        x = table["x"].drop_nulls().to_numpy()
        told = meta["columns"]["x"]
        assert told["missing"] == 1000 - x.size
        assert (told["low"], told["high"]) == (x.min(), x.max())
        assert told["mean"] == pytest.approx(x.mean(), rel=1e-13)
        assert told["deviation"] == pytest.approx(x.std(), rel=1e-13)
        y = np.arange(1000.0)
        told = meta["target"]
        assert (told["low"], told["high"], told["classes"]) == (0.0, 999.0, None)
        assert told["mean"] == pytest.approx(y.mean(), rel=1e-13)
        assert told["deviation"] == pytest.approx(y.std(), rel=1e-13)
        assert meta["columns"]["colour"] == {"missing": 0, "levels": 3}

    @pytest.mark.parametrize("sign", [1.0, -1.0])
    def test_a_column_that_knows_the_target_is_suspect(self, sign):
        noise = np.random.default_rng(0).normal(size=500)
        table = numbered(500).with_columns(
            leak=sign * pl.col("y") + pl.Series(noise), near=pl.col("y") + pl.Series(9.0 * noise)
        )
        (warning,) = prepare(table, "y", drop="z").meta["warnings"]
        assert "'leak'" in warning
        assert 'drop=["leak"]' in warning

    def test_a_column_that_tells_two_classes_apart_is_suspect(self):
        table = numbered(100, gaps=False).with_columns(
            leak=(pl.col("y") % 2) * 7 + 3, y=pl.when(pl.col("y") % 2 > 0).then(pl.lit("b"))
            .otherwise(pl.lit("a")),
        )  # fmt: skip
        assert ["'leak'" in w for w in prepare(table, "y").meta["warnings"]] == [True]

    def test_a_copy_is_suspect(self):
        table = pl.DataFrame({"x": [1.0, 2.0, 3.0, 4.0] * 15, "y": ["a", "b", "c"] * 20})
        copied = table.with_columns(again=pl.col("y"))
        assert prepare(table, "y").meta["warnings"] == []
        (warning,) = prepare(copied, "y").meta["warnings"]
        assert "'again' is a copy of the target" in warning


@pytest.mark.parametrize("target", ["n", "count", "level", "value", "len", "index", "literal", "y"])
def test_columns_may_be_called_as_those_of_our_own(target):
    names = ["n", "count", "level", "value", "len", "index", "literal", "y"]
    table = pl.DataFrame({
        name: [f"{name}{(i // (j + 1)) % 3}" for i in range(60)] for j, name in enumerate(names)
    })  # fmt: skip
    prepared = gradstep.prepare(table, target, class_weight="balanced")
    assert prepared.target.column == target
    assert len(prepared.target.classes) == 3


@pytest.mark.parametrize("parameter", ["validation", "task"])
def test_a_table_where_a_word_or_a_number_is_asked_for(parameter):
    """The message is a line, without the rows."""
    frame = pl.DataFrame({"x": np.arange(50.0), "y": np.arange(50.0) % 3})
    with pytest.raises(InvalidParameter, match=f"^{parameter}=DataFrame of prepare must be .*[.]$"):
        prepare(frame, "y", **{parameter: frame})


@pytest.mark.parametrize("kind", [pl.Float32, pl.Float64])
def test_infinite_numbers_of_rows_to_validate_on_count_where_the_row_does(kind):
    train = pl.DataFrame({"x": np.arange(80.0), "y": np.arange(80.0) % 3, "w": [1.0] * 80})
    x = pl.Series("x", [1.0, np.inf, np.inf, 4.0, 5.0], dtype=kind)
    held_out = pl.DataFrame(
        [x, pl.Series("y", [1.0, None, 2, 0, 1]), pl.Series("w", [1.0, 1, 0, 1, 1])]
    )
    found = prepare(train, "y", sample_weight="w", validation_table=held_out)
    assert found.validation.n == 3
    bad = held_out.with_columns(w=pl.lit(1.0))
    with pytest.raises(InvalidTable, match=r"'x' is infinite in row 3 \(of the rows, from 1\)"):
        prepare(train, "y", sample_weight="w", validation_table=bad)
