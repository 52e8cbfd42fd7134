"""Encodings: what becomes of each column, learned once, kept to the bit."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradstep import fit_table, prepare
from gradstep.data.features import profile
from gradstep.data.features.encoding import (
    Encoding,
    HashColumn,
    LeftOut,
    LevelColumn,
    NumberColumn,
)
from gradstep.data.sources import table as tables
from tests.examples import examples

SOME = examples(40)
NUMBERS = st.floats(-1e6, 1e6).map(lambda v: round(v, 3))


def learned(frame, **options):
    """Return the encoding of a frame's columns beside a target."""
    y = np.arange(float(frame.height))
    return prepare(frame.with_columns(y=y), "y", validation=0.0, **options).encoding


def column(encoding, name):
    return [c for c in encoding.columns if c.source == name]


class TestNumbers:
    @SOME
    @given(st.lists(st.one_of(st.none(), NUMBERS), min_size=4, max_size=200))
    def test_are_scaled_as_numpy_says(self, values):
        x = np.array([v for v in values if v is not None])
        series = pl.Series("x", values, dtype=pl.Float64)
        frame = pl.DataFrame([series, pl.Series("other", range(len(values)))])
        encoding = learned(frame)
        (found,) = column(encoding, "x")
        if x.size == 0:
            assert found == LeftOut("x", "every value is missing")
            return
        if x.min() == x.max() and x.size == len(values):
            assert isinstance(found, LeftOut)
            assert found.reason == f"every value is {x[0]:g}"
            return
        scale = x.std() if x.min() < x.max() else 1.0
        assert found.mean == pytest.approx(x.mean(), rel=1e-12, abs=1e-12 * scale)
        assert found.scale == pytest.approx(scale, rel=1e-12)
        encoded = encoding.encode(frame).values
        there = np.array([v is not None for v in values])
        scaled = (x - x.mean()) / scale
        np.testing.assert_allclose(encoded[there, 0], scaled, rtol=1e-9, atol=1e-9)
        if found.indicator:
            np.testing.assert_array_equal(encoded[:, 2], ~there)
        assert found.indicator == (not there.all())
        np.testing.assert_array_equal(encoded[~there, 0], 0.0)

    @pytest.mark.parametrize("shift", [0.0, 1e3, -1e6])
    def test_of_many_chunks(self, shift, monkeypatch):
        monkeypatch.setattr(tables, "_MOST_CHUNK_ROWS", 1000)
        x = np.random.default_rng(0).normal(shift, 2.0, 50_000)
        (found,) = column(learned(pl.DataFrame({"x": x})), "x")
        assert found.mean == pytest.approx(x.mean(), rel=1e-12, abs=1e-12)
        assert found.scale == pytest.approx(x.std(), rel=1e-12)

    @pytest.mark.parametrize(
        "series",
        [
            pl.Series("x", [True, False, True, None]),
            pl.Series("x", [1, 2, 3, None], dtype=pl.Int8),
            pl.Series("x", ["1.5", "2", " 3 ", None]).str.strip_chars().cast(pl.Decimal(10, 2)),
            pl.Series("x", [timedelta(hours=1), timedelta(hours=3), timedelta(0), None]),
        ],
        ids=lambda s: str(s.dtype),
    )
    def test_of_every_type(self, series):
        frame = series.to_frame()
        (found,) = column(learned(frame), "x")
        seconds = series.dtype == pl.Duration
        plain = series.dt.total_seconds() if seconds else series.cast(pl.Float64)
        x = plain.drop_nulls().to_numpy().astype(float)
        assert (found.mean, found.scale, found.indicator) == (x.mean(), x.std(), True)

    def test_a_tiny_or_huge_unit_is_no_matter(self):
        """Even where squares leave the range of numbers."""
        x = np.random.default_rng(0).normal(size=50)
        for power in (-700, -900, 400, 700):
            frame = pl.DataFrame({"x": np.ldexp(x, power)})
            values = learned(frame).encode(frame).values
            assert np.isfinite(values).all()
            assert values.std() > 0.1

    def test_missing_where_training_saw_none_is_the_mean_and_counted(self):
        encoding = learned(pl.DataFrame({"x": [1.0, 2.0, 3.0]}))
        unseen = Counter()
        encoded = encoding.encode(pl.DataFrame({"x": [None, 2.0, None]}), unseen)
        assert encoded.values.tolist() == [[0.0], [0.0], [0.0]]
        assert unseen == {"x": 2}

    @pytest.mark.parametrize("p", [1, 3, 90])
    @pytest.mark.parametrize("single", [False, True])
    def test_of_more_rows_than_are_written_together(self, p, single):
        """Columns of (x - mean) / scale, their gaps 0, flags of gaps behind them."""
        rng = np.random.default_rng(p)
        kind = np.float32 if single else np.float64
        X = rng.normal(3.0, 5.0, size=(140_000 if p < 4 else 9_000, p)).astype(kind)
        gaps = rng.random(X.shape) < 0.01
        gaps[:, p // 2] = False
        frame = pl.DataFrame(np.where(gaps, np.nan, X).astype(kind)).fill_nan(None)
        encoding = learned(frame)
        mean, scale = (np.array([getattr(c, of) for c in encoding.numbers]) for of in
                       ("mean", "scale"))  # fmt: skip
        unseen = Counter()
        found = encoding.encode(frame, unseen).values
        scaled = (np.where(gaps, np.nan, X).astype(np.float64) - mean) / scale
        np.testing.assert_allclose(
            found[:, :p], np.nan_to_num(scaled), rtol=4.0 * np.finfo(kind).eps, atol=0.0
        )
        flagged = [j for j in range(p) if gaps[:, j].any()]
        np.testing.assert_array_equal(found[:, p:], gaps[:, flagged])
        assert not unseen

    def test_float32_only_if_every_number_is(self):
        x = pl.Series("x", [1.0, 2.0, 4.0], dtype=pl.Float32)
        z = pl.Series("z", [1.0, 2.0, 4.0])
        c = pl.Series("c", ["a", "b", "a"])
        day = pl.Series("day", [1, 2, 3]).cast(pl.Int32).cast(pl.Date)
        for columns, single in [([x], True), ([x, c], True), ([x, z], False), ([c], False),
                                ([x, day], False), ([x, z * 0], True)]:  # fmt: skip
            frame = pl.DataFrame(columns)
            encoding = learned(frame)
            assert encoding.single == single
            kind = np.float32 if single else np.float64
            assert encoding.encode(frame).values.dtype == kind


class TestCategories:
    COLOURS = pl.DataFrame(
        {"c": ["red"] * 5 + ["blue"] * 3 + ["green"] * 3 + ["pink", "grey"], "n": range(13)}
    )

    def test_levels_by_frequency_then_name(self):
        (found,) = column(learned(self.COLOURS), "c")
        assert found == LevelColumn("c", ("red", "blue", "green", "grey", "pink"))

    def test_the_rarest_share_one(self):
        encoding = learned(self.COLOURS, max_levels=2)
        assert encoding.feature_names() == ["n", "c=red", "c=blue", "c=(other)"]
        frame = pl.DataFrame({"c": ["red", "grey", "never", "blue", None], "n": [0] * 5})
        unseen = Counter()
        assert encoding.encode(frame, unseen).codes[:, 0].tolist() == [1, 3, 3, 2, -1]
        assert unseen == {"c": 1}

    def test_missing_is_a_level_of_its_own(self):
        frame = self.COLOURS.with_columns(pl.col("c").replace("pink", None))
        encoding = learned(frame)
        assert encoding.feature_names()[-1] == "c=(missing)"
        codes = encoding.encode(pl.DataFrame({"c": [None, "red", "pink"], "n": [0] * 3})).codes
        assert codes[:, 0].tolist() == [encoding.n_features - 1, 1, -1]

    @pytest.mark.parametrize(
        "dtype", [pl.Categorical, pl.Enum(["red", "blue", "green", "pink", "grey"])]
    )
    def test_of_every_type(self, dtype):
        typed = self.COLOURS.with_columns(pl.col("c").cast(dtype))
        assert learned(typed) == learned(self.COLOURS)
        np.testing.assert_array_equal(
            learned(typed).encode(typed).codes, learned(typed).encode(self.COLOURS).codes
        )

    def test_called_n(self):
        frame = self.COLOURS.select(n="c", x="n")
        assert column(learned(frame), "n")[0].levels[0] == "red"

    def test_numbers_on_request(self):
        frame = pl.DataFrame({"n": [3, 1, 3, 2], "x": [1.0, 2.0, 3.0, 4.0]})
        (found,) = column(learned(frame, kinds={"n": "category"}), "n")
        assert found.levels == ("3", "1", "2")

    def test_text_as_numbers_on_request(self):
        frame = pl.DataFrame({"n": ["3", " 1.5", None, "2e0"]})
        (found,) = column(learned(frame, kinds={"n": "number"}), "n")
        assert (found.mean, found.indicator) == (6.5 / 3, True)

    @pytest.mark.parametrize("rows,left_out", [(20, False), (100, True)])
    def test_a_value_in_nearly_every_row_is_left_out(self, rows, left_out):
        frame = pl.DataFrame({"id": [f"i{k}" for k in range(rows)], "x": range(rows)})
        (found,) = column(learned(frame), "id")
        assert isinstance(found, LeftOut) == left_out
        if left_out:
            assert "nearly every row" in found.reason
            assert 'kinds={"id": "hash"}' in found.reason
            (asked,) = column(learned(frame, kinds={"id": "category"}), "id")
            assert len(asked.levels) == rows

    @pytest.mark.parametrize("bits", [1, 4, 18])
    def test_hashed(self, bits):
        """To the low bits of BLAKE2b of column and value: the same everywhere, for ever."""
        frame = pl.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "id": ["a", "ü", None, ""]})
        encoding = learned(frame, kinds={"id": f"hash:{bits}"})
        assert column(encoding, "id") == [HashColumn("id", bits)]
        assert encoding.n_features == 1 + 2**bits
        keys = ["id\0=a", "id\0=ü", "id\0(missing)", "id\0="]
        digests = [hashlib.blake2b(k.encode(), digest_size=8).digest() for k in keys]
        expected = [1 + int.from_bytes(d, "little") % 2**bits for d in digests]
        assert encoding.encode(frame).codes[:, 0].tolist() == expected

    def test_hashes_are_pinned(self):
        frame = pl.DataFrame({"x": [1.0, 2.0, 3.0], "id": ["a", "b", None]})
        codes = learned(frame, kinds={"id": "hash"}).encode(frame).codes[:, 0]
        assert codes.tolist() == [215712, 240162, 146199]

    def test_hashed_beyond_a_limit(self, monkeypatch):
        monkeypatch.setattr(profile, "MOST_COUNTED", 10)
        frame = pl.DataFrame({"c": [f"l{k % 20}" for k in range(100)], "x": range(100)})
        assert column(learned(frame), "c") == [HashColumn("c")]


class TestDates:
    DAYS = pl.DataFrame({"d": [date(2024, 1, 1), date(2024, 3, 5), None, date(2024, 1, 6)]})

    def test_are_days_months_and_weekdays(self):
        encoding = learned(self.DAYS)
        assert encoding.feature_names() == [
            "d days", "d days is missing", "d month=1", "d month=3",
            "d weekday=1", "d weekday=2", "d weekday=6",
        ]  # fmt: skip
        days = np.array([19723.0, 19787.0, 19728.0])
        (number, *_) = column(encoding, "d")
        assert (number.mean, number.scale) == pytest.approx((days.mean(), days.std()), rel=1e-12)
        encoded = encoding.encode(self.DAYS)
        assert encoded.codes.tolist() == [[2, 4], [3, 5], [-1, -1], [2, 6]]
        assert encoded.values[2].tolist() == [0.0, 1.0]

    def test_missing_ones_are_seen(self):
        """They are what the indicator says, not something new."""
        unseen = Counter()
        learned(self.DAYS).encode(self.DAYS, unseen)
        assert not unseen

    @pytest.mark.parametrize("unit", ["ms", "us", "ns"])
    def test_of_times(self, unit):
        times = pl.Series(["2024-01-01 06:00", "2024-01-01 18:00", "2024-01-02 06:00"])
        encoding = learned(pl.DataFrame({"t": times.str.to_datetime(time_unit=unit)}))
        assert "t hour=18" in encoding.feature_names()
        (number, *_) = column(encoding, "t")
        assert number.mean == pytest.approx(19723 + 0.75, rel=1e-14)

    def test_of_time_zones(self):
        """The number of days is that of the instant; the hour is the clock's on the wall."""
        times = pl.Series(["2024-07-01 05:00", "2024-07-01 23:00"]).str.to_datetime()
        utc = times.dt.replace_time_zone("UTC")
        there = pl.DataFrame({"t": utc.dt.convert_time_zone("America/New_York")})
        encoding, plain = learned(there), learned(pl.DataFrame({"t": utc}))
        assert column(encoding, "t")[0] == column(plain, "t")[0]
        assert [n for n in encoding.feature_names() if "hour" in n] == ["t hour=1", "t hour=19"]

    def test_a_single_one_is_left_out(self):
        (found,) = column(
            learned(self.DAYS[:1].vstack(self.DAYS[:1]).with_columns(x=pl.Series([1, 2]))), "d"
        )
        assert found == LeftOut("d", "every value is the same")


class TestLeftOut:
    def test_and_named(self):
        n = 40
        frame = pl.DataFrame(
            {
                "x": np.arange(n) / 7,
                "one": [1e9] * n,
                "word": ["same"] * n,
                "gone": pl.Series([None] * n, dtype=pl.Float64),
                "null": pl.Series([None] * n),
                "text": pl.Series([None] * n, dtype=pl.String),
                "list": [[1, 2]] * n,
                "id": [f"i{k}" for k in range(n)],
                "mine": range(n),
            }
        )
        encoding = learned(frame, drop="mine")
        reasons = {c.source: c.reason for c in encoding.columns if isinstance(c, LeftOut)}
        assert reasons == {
            "one": "every value is 1e+09",
            "word": "every value is 'same'",
            "gone": "every value is missing",
            "null": "every value is missing",
            "text": "every value is missing",
            "list": "a column of type List(Int64) has no encoding",
            "id": 'nearly every row has another value (kinds={"id": "hash"} uses it, '
            'kinds={"id": "text"} its words)',
            "mine": "left out on request",
        }
        assert encoding.feature_names() == ["x"]

    def test_only(self):
        frame = pl.DataFrame({"a": [1, 2, 3], "b": [1, 3, 2], "c": [3, 1, 2]})
        assert learned(frame, only=["b"]).feature_names() == ["b"]

    def test_a_constant_that_is_sometimes_missing_is_used(self):
        frame = pl.DataFrame({"x": [5.0, None, 5.0]})
        assert learned(frame).encode(frame).values.tolist() == [[0, 0], [0, 1], [0, 0]]


def mixed(n=200, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(1e3, 5.0, n)
    return pl.DataFrame(
        {
            "x": pl.Series(np.where(rng.random(n) < 0.1, np.nan, x)).fill_nan(None),
            "small": rng.normal(0.0, 1e-6, n),
            "colour": rng.choice(["red", "green", "blue"], n),
            "id": rng.choice([f"i{k}" for k in range(30)], n),
            "day": pl.Series(rng.integers(19_000, 19_400, n)).cast(pl.Int32).cast(pl.Date),
            "y": rng.normal(size=n) + (x - 1e3) / 5,
        }
    )


class TestKept:
    def test_through_json(self):
        encoding = prepare(
            mixed(), "y", kinds={"id": "hash:5"}, max_levels=2, drop="small"
        ).encoding
        again = Encoding.from_json(json.loads(json.dumps(encoding.to_json())))
        assert again == encoding
        for mine, theirs in zip(
            again.encode(mixed(seed=1)), encoding.encode(mixed(seed=1)), strict=True
        ):
            assert mine.tobytes() == theirs.tobytes()

    def test_names_are_in_the_order_of_the_features(self):
        encoding = prepare(mixed(), "y", kinds={"id": "hash:3"}).encoding
        names = encoding.feature_names()
        assert len(names) == encoding.n_features == len(set(names))
        at = [c.source for c in encoding.coded].index("id")
        hashed = names[encoding.starts[at] : encoding.starts[at + 1]]
        assert hashed == [f"id#{b}" for b in range(8)]
        assert [type(c) for c in encoding.numbers] == [NumberColumn] * 3

    def test_a_model_predicts_by_its_coefficients_on_raw_columns(self):
        table = mixed()
        model = fit_table(table, "y", validation=0.0, max_iter=30).model
        names = model.encoding.feature_names()
        raw = np.zeros((table.height, len(names)))
        means = {c.name: c.mean for c in model.encoding.numbers}
        for j, name in enumerate(names):
            source, _, level = name.partition("=")
            if name.endswith(" is missing"):
                raw[:, j] = table[name.removesuffix(" is missing")].is_null()
            elif level and source in table.columns:
                raw[:, j] = table[source] == level
            elif level:
                part = table["day"].dt.month() if "month" in source else table["day"].dt.weekday()
                raw[:, j] = part.cast(pl.String) == level
            elif name == "day days":
                raw[:, j] = table["day"].to_physical()
            else:
                raw[:, j] = table[name].fill_null(means[name])
        predicted = raw @ model.coef_[0] + model.intercept_[0]
        np.testing.assert_allclose(predicted, model.predict(table), rtol=1e-9, atol=1e-9)

    def test_the_order_of_columns_does_not_matter_to_predictions(self):
        table = mixed()
        one = fit_table(table, "y", validation=0.0, max_iter=200, tol=None).model
        other = fit_table(table.select(reversed(table.columns)), "y", validation=0.0, max_iter=200,
                          tol=None).model  # fmt: skip
        np.testing.assert_allclose(one.predict(table), other.predict(table), rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(
            one.predict(table.select(reversed(table.columns))), one.predict(table)
        )

    @pytest.mark.parametrize("power", [-40, -3, 1, 60])
    def test_a_unit_of_a_power_of_two_changes_no_bit(self, power):
        table = mixed()
        scaled = table.with_columns(pl.col("x", "small") * 2.0**power)
        one = fit_table(table, "y", max_iter=5).model
        other = fit_table(scaled, "y", max_iter=5).model
        assert one.predict(table).tobytes() == other.predict(scaled).tobytes()
        assert other.params.tobytes() == one.params.tobytes()
