"""Least squares straight from a table: the model of the prepared one, without preparing it."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

import gradstep
from gradstep.errors import InvalidParameter, InvalidTable
from gradstep.fit import alpha_trials
from gradstep.fit.one_pass import one_pass, sums
from gradstep.fit.one_pass.positions import Positions
from gradstep.fit.one_pass.streamed import Reader, StreamedRows
from gradstep.rows import dataset
from gradstep.rows.kernels.shuffling import Buckets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

N, MANY = 20_000, 1 << 12


def table(n: int = N, **more: Any) -> pl.DataFrame:
    """Draw columns far from zero, correlated, whole, with errors that grow with one of them."""
    rng = np.random.default_rng(3)
    a = rng.normal(size=n)
    columns = {
        "a": a,
        "b": 1e5 + 1e3 * rng.normal(size=n),
        "c": rng.integers(0, 50, n),
        "d": 0.5 * a + rng.normal(size=n),
    }
    y = 3.0 + a + 0.002 * columns["b"] + 0.3 * columns["c"] - 2.0 * columns["d"]
    y = y + rng.normal(size=n) * (1.0 + np.abs(a))
    return pl.DataFrame({**columns, "y": y}).with_columns(**more)


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "_SAMPLE_ROWS", MANY)
    monkeypatch.setattr(alpha_trials, "_QUICK", 0.0)  # as with many rows
    monkeypatch.setattr(sums, "HEAD_TARGETS", MANY)
    monkeypatch.setattr(one_pass, "HEAD_TARGETS", MANY)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the tasks for which rows are read once more."""
    found, run = [], Reader.run

    def counted(self: Reader, task: Any, *more: Any) -> list[Any]:
        found.append(type(task).__name__)
        return run(self, task, *more)

    monkeypatch.setattr(Reader, "run", counted)
    return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "table.parquet"
    table().write_parquet(path)
    return path


def is_streamed(fit: gradstep.TableFit) -> bool:
    return isinstance(fit.prepared.train, StreamedRows)


def assert_same(fit: Any, other: Any, rtol: float = 1e-9) -> None:
    """Compare all that is told of two fits."""
    for one, two in ((fit.model, other.model), (fit.judged, other.judged)):
        np.testing.assert_allclose(one.params, two.params, rtol=rtol)
        for name, value in vars(one.training).items():
            for mine, its in zip(value, getattr(two.training, name), strict=True):
                np.testing.assert_allclose(mine, its, rtol=rtol)
    if other.model.covariance is None:
        assert fit.model.covariance is None
    else:
        mine, its = fit.model.covariance.matrix, other.model.covariance.matrix
        np.testing.assert_allclose(mine, its, rtol=rtol, atol=rtol * abs(its).max())
        assert fit.model.covariance.degrees == other.model.covariance.degrees
        assert fit.model.covariance.dispersion == pytest.approx(
            other.model.covariance.dispersion, rel=rtol
        )
    for mine, its in ((fit.validation, other.validation), (fit.baseline, other.baseline)):
        assert mine == pytest.approx(its, rel=rtol)
    assert (fit.alpha is None) == (other.alpha is None)
    if fit.alpha is not None:
        assert (fit.alpha.value, fit.alpha.judge) == (other.alpha.value, other.alpha.judge)
        assert dict(fit.alpha.losses) == pytest.approx(dict(other.alpha.losses), rel=rtol)
    assert [str(note) for note in fit.notes] == [str(note) for note in other.notes]
    assert (fit.outcome, fit.kept_epoch) == (other.outcome, other.kept_epoch)
    assert (fit.refit is None) == (other.refit is None)
    if fit.refit is not None:
        assert fit.refit.rows == other.refit.rows
    assert str(fit.plan) == str(other.plan)
    losses = [[record.loss for record in each.history] for each in (fit, other)]
    assert losses[0] == pytest.approx(losses[1], rel=rtol)


ASKED = [
    {},
    {"inference": "model"},
    {"inference": "none", "refit": False},
    {"alpha": 0.01},
    {"penalty": None, "validation": 0.0},
    {"optimizer": "exact", "alpha": 1e-3, "random_state": 7},
    {"drop": ["d"], "validation": 0.3, "penalty_scale": "unit"},
]


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_the_fit_is_that_of_the_prepared_table(
    file: Path, passes: list[str], asked: dict[str, Any]
) -> None:
    of_rows = {"drop", "validation", "random_state"}
    prepared = gradstep.prepare(file, "y", **{k: v for k, v in asked.items() if k in of_rows})
    other = gradstep.fit_table(prepared, **{k: v for k, v in asked.items() if k not in of_rows})
    assert not passes
    fit = gradstep.fit_table(file, "y", **asked)
    assert is_streamed(fit)
    assert_same(fit, other)
    assert passes == (["ScoreProducts"] if asked.get("inference", "robust") == "robust" else [])


def test_least_squares_with_robust_errors_by_numpy(file: Path) -> None:
    fit = gradstep.fit_table(file, "y", penalty=None, validation=0.0)
    assert is_streamed(fit)
    frame = table()
    X = np.column_stack([*(frame[c].to_numpy() for c in "abcd"), np.ones(N)]).astype(float)
    y = frame["y"].to_numpy()
    shift, scale = X.mean(axis=0), X.std(axis=0)
    Z = np.column_stack([(X[:, :4] - shift[:4]) / scale[:4], X[:, 4]])
    beta = np.linalg.lstsq(Z, y, rcond=None)[0]
    np.testing.assert_allclose(fit.model.params, beta, rtol=1e-9)
    scores = Z * (y - Z @ beta)[:, None]
    inverse = np.linalg.inv(Z.T @ Z)
    expected = inverse @ (scores.T @ scores) @ inverse * (N / (N - 5))
    assert fit.model.covariance is not None
    np.testing.assert_allclose(
        fit.model.covariance.matrix[0], expected, rtol=1e-6, atol=1e-9 * expected.max()
    )


def test_any_table_of_numbers(tmp_path: Path, file: Path) -> None:
    fit = gradstep.fit_table(file, "y")
    frame = pl.read_parquet(file)
    frame.write_csv(tmp_path / "table.csv")
    parts = tmp_path / "parts"
    parts.mkdir()
    for i, lo in enumerate(range(0, N, 7000)):
        frame[lo : lo + 7000].write_parquet(parts / f"{i}.parquet")
    query = pl.scan_parquet(file).filter(pl.col("a").is_not_null())
    for other in (tmp_path / "table.csv", parts, query, frame):
        found = gradstep.fit_table(other, "y")
        assert is_streamed(found)
        np.testing.assert_allclose(found.model.params, fit.model.params, rtol=1e-12)


def test_single_precision(tmp_path: Path) -> None:
    path = tmp_path / "single.parquet"
    table().select(pl.all().cast(pl.Float32)).write_parquet(path)
    fit = gradstep.fit_table(path, "y")
    assert is_streamed(fit)
    assert_same(fit, gradstep.fit_table(gradstep.prepare(path, "y")), rtol=1e-6)


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a missing value": ({"a": pl.when(pl.col("c") == 7).then(None).otherwise(pl.col("a"))}, {}),
    "a missing target": ({"y": pl.when(pl.col("c") == 7).then(None).otherwise(pl.col("y"))}, {}),
    "categories": ({"c": pl.col("c").cast(pl.String)}, {}),
    "a column that others determine": ({"e": 2.0 * pl.col("a") - pl.col("d")}, {}),
    "a target without noise": ({"y": pl.col("a") + pl.col("d")}, {}),
    "a target of two values": ({"y": (pl.col("a") > 0).cast(pl.Int8)}, {}),
    "weights": ({}, {"sample_weight": "c"}),
    "times": ({}, {"time_column": "b"}),
    "l1": ({}, {"penalty": "l1"}),
    "another loss": ({}, {"loss": "huber"}),
    "batches": ({}, {"optimizer": "sgd", "max_iter": 2}),
    "parts": ({}, {"cv": 2}),
    "constraints": ({}, {"nonnegative": "a"}),
    "terms": ({}, {"splines": ["a"]}),
    "clusters": ({}, {"inference": "cluster=c"}),
    "little memory": ({}, {"memory": 1 << 27, "few": True}),
}

GRAVE = {"a target without noise", "a target of two values"}


@pytest.mark.parametrize("case", REFUSED)
def test_other_fits_prepare_the_table(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    columns, asked = REFUSED[case]
    frame, asked = table(**columns), dict(asked)
    if case == "weights":
        frame = frame.with_columns(pl.col("c") + 1)
    if asked.pop("few", False):
        monkeypatch.setattr(one_pass, "HEAD_ROWS", 1 << 24)
    quietly = (
        pytest.warns(gradstep.GradstepWarning, match="GS00") if case in GRAVE else nullcontext()
    )
    with quietly:
        fit = gradstep.fit_table(frame, "y", **asked)
    assert not is_streamed(fit)


def test_few_rows_are_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_pass, "HEAD_TARGETS", N)
    assert not is_streamed(gradstep.fit_table(table(), "y"))


def test_a_constant_column_is_left_out_and_changes_nothing(file: Path) -> None:
    fit = gradstep.fit_table(file, "y")
    more = gradstep.fit_table(pl.read_parquet(file).with_columns(e=pl.lit(1.0)), "y")
    assert is_streamed(more)
    np.testing.assert_allclose(more.model.params, fit.model.params, rtol=1e-12)


@pytest.mark.parametrize("known", [False, True])
def test_a_cache_is_used_where_it_has_the_table(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    monkeypatch.setenv("GRADSTEP_CACHE_DIR", str(tmp_path / "cache"))
    if known:
        gradstep.prepare(file, "y", cache=True)
    fit = gradstep.fit_table(file, "y", cache=True)
    assert is_streamed(fit) is not known
    assert not is_streamed(gradstep.fit_table(file, "y", cache=tmp_path / "own"))


def test_text_is_kept_where_it_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADSTEP_CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "table.csv"
    table().write_csv(path)
    assert not is_streamed(gradstep.fit_table(path, "y", cache=True))


def test_rows_that_are_not_kept_are_refused(file: Path) -> None:
    fit = gradstep.fit_table(file, "y")
    assert "svg" in fit.report()._repr_html_()  # of the rows held out, which are
    with pytest.raises(InvalidParameter, match="were not kept"):
        gradstep.MiniBatchRegressor().fit(fit.prepared)
    with pytest.raises(InvalidTable, match="were not kept"):
        fit.prepared.train.permuted(np.arange(3, dtype=np.uint32))


def test_a_file_that_changes_before_it_is_read_again_is_an_error(file: Path) -> None:
    def change(_: Any) -> None:
        table(N - 1).write_parquet(file)

    with pytest.raises(InvalidTable, match="changed"):
        gradstep.fit_table(file, "y", on_plan=change)


def test_positions_are_those_of_the_prepared_table() -> None:
    n, first = 5000, 300
    buckets = Buckets(n, 4, 200)
    final = buckets.final_places()
    expected = final[buckets.places(0, n)]
    positions = Positions(n, 4, 200, first)
    found = np.concatenate([positions.of_next(k) for k in (1700, 0, 3300)])
    np.testing.assert_array_equal(positions.parts(found), positions.parts(expected))
    np.testing.assert_array_equal(positions.parts(expected), expected // 1000)
    np.testing.assert_array_equal(found < first, expected < first)
    np.testing.assert_array_equal(found[found < first], expected[expected < first])


def chunks(frame: pl.DataFrame) -> Iterator[tuple[pl.DataFrame, int]]:
    for lo in range(0, frame.height, 777):
        yield frame[lo : lo + 777], lo


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sum each chunk in several blocks."""
    monkeypatch.setattr(sums, "_BLOCK_NUMBERS", 5 * 200)


def summed(frame: pl.DataFrame, rule: one_pass.Rule, counted: int | None = None) -> sums.Sums:
    """Return the sums of a frame, of which so many rows were counted; by default all."""
    counted = frame.height if counted is None else counted
    n = int((~rule.flags(frame[:counted], 0)).sum())
    found = sums.Sums("abcdy", np.float64, rule, Positions(n, 3, 100, n), counted)
    for chunk, first in chunks(frame):
        found(chunk, first)
    found.wait()
    found.close()
    return found


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("scale", [1.0, 2.0**40])
def test_sums_are_those_of_the_parts(scale: float) -> None:
    frame = table(6000).with_columns(pl.all() * scale)
    rule = one_pass.Rule(0.2, 3)
    held_out = rule.flags(frame, 0)
    n = int((~held_out).sum())
    found = summed(frame, rule)
    at = Positions(n, 3, 100, n).of_next(n)
    values = frame.to_numpy()
    train = np.empty((n, 5))
    train[at] = values[~held_out]
    parts = [train[n * i // 5 : n * (i + 1) // 5] for i in range(5)]
    for moments, part in zip(found.parts, [*parts, values[held_out]], strict=True):
        assert moments.weight == len(part)
        np.testing.assert_allclose(moments.mean, part.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(
            moments.products, np.cov(part.T, bias=True) * len(part), rtol=1e-9
        )
    np.testing.assert_array_equal(found.head().T, train[:, :4])
    np.testing.assert_array_equal(found.targets, train[:, 4])
    np.testing.assert_array_equal(found.held_out.T, values[held_out][:, :4])
    np.testing.assert_array_equal(found.targets_held_out, values[held_out][:, 4])
    np.testing.assert_array_equal(found.low, train.min(axis=0))
    np.testing.assert_array_equal(found.high, train.max(axis=0))
    assert not found.missing


@pytest.mark.usefixtures("small_blocks")
def test_columns_far_from_zero_lose_no_digits() -> None:
    """Products about zero would have none left of those of a column of 1e8 ± 1."""
    frame = table(6000).with_columns(b=1e8 + pl.col("d"))
    rule = one_pass.Rule(0.0, 0)
    near = summed(frame.with_columns(b=pl.col("b") - 1e8), rule)
    for far, moments in zip(summed(frame, rule).parts[:-1], near.parts[:-1], strict=True):
        lengths = np.sqrt(moments.products.diagonal())
        off = (far.products - moments.products) / np.outer(lengths, lengths)
        assert abs(off).max() < 1e-9


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("threads", [1, 5])
def test_any_number_of_threads_sums_the_same_bits(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, rule = table(8000), one_pass.Rule(0.1, 2)
    one = summed(frame, rule)
    monkeypatch.setattr(sums, "_THREADS", threads)
    other = summed(frame, rule)
    for a, b in zip(one.parts, other.parts, strict=True):
        assert a.weight == b.weight
        np.testing.assert_array_equal(a.mean, b.mean)
        np.testing.assert_array_equal(a.products, b.products)
    np.testing.assert_array_equal(one.head(), other.head())
    for kept in ("targets", "held_out", "targets_held_out", "low", "high"):
        np.testing.assert_array_equal(getattr(one, kept), getattr(other, kept))


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("row", [0, 776, 3000, 5999])
@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("share", [0.0, 0.2])
def test_a_missing_number_in_any_chunk_is_noticed(row: int, hole: float, share: float) -> None:
    frame = table(6000)
    a = frame["a"].to_numpy().copy()
    a[row] = hole
    assert summed(frame.with_columns(a=pl.Series(a)), one_pass.Rule(share, 0)).missing


@pytest.mark.parametrize("counted", [1, 5999])
def test_more_rows_than_were_counted_are_noticed(counted: int) -> None:
    assert summed(table(6000), one_pass.Rule(0.0, 0), counted).missing
