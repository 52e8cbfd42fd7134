"""Runs side by side: on the notebook's data against NumPy, on tables against the textbook."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import gradstep
from gradstep.comparing.notebook import Notebook
from gradstep.comparing.playback import Playback
from gradstep.comparing.ranking import others_to_try
from gradstep.comparing.surface import Quadratic, crossings
from gradstep.comparing.trials import trials_of
from gradstep.comparing.words import as_text, cells, recommendation, sentences, to_try
from gradstep.errors import InvalidParameter
from tests.reporting.pages import check
from tests.test_markup import HOSTILE
from tests.test_notebook import EXPECTED


def by_hand(batch_size, epochs):
    """Run the notebook's loop in Python; return the mean square after each epoch."""
    notebook = Notebook()
    x, y = notebook.X[:, 0], notebook.y
    w, b = notebook.coef_init[0], 0.0
    found = []
    for epoch in range(epochs):
        order = notebook.order(epoch, 1000)
        for first in range(0, 1000, batch_size):
            rows = order[first : first + batch_size]
            error = w * x[rows] + b - y[rows]
            w -= 0.05 * (error @ x[rows]) / batch_size
            b -= 0.05 * error.sum() / batch_size
        found.append(float(np.mean((w * x + b - y) ** 2)))
    return found


@pytest.fixture(scope="module")
def found():
    return gradstep.compare(batch_size=[1, 64, 1000])


def squares(found, name):
    return 2.0 * found.epochs.filter(run=name)["loss"].to_numpy()


class TestNotebook:
    def test_batch_64_is_what_its_author_saw(self, found):
        lines = [line for line in EXPECTED.read_text().splitlines() if line.startswith("Epoch")]
        told = [f"Epoch {i + 1}/50 | Loss: {v:.4f}" for i, v in
                enumerate(squares(found, "batch 64")[1:])]  # fmt: skip
        assert told == lines

    @pytest.mark.parametrize("size, epochs", [(1, 3), (64, 50), (1000, 50)])
    def test_all_losses_are_those_of_numpy(self, found, size, epochs):
        own = squares(found, f"batch {size}")[1 : epochs + 1]
        np.testing.assert_allclose(own, by_hand(size, epochs), rtol=1e-9)

    def test_the_optimum_is_least_squares(self, found):
        notebook = Notebook()
        A = np.column_stack([notebook.X[:, 0], np.ones(1000)])
        best = np.linalg.lstsq(A, notebook.y, rcond=None)[1][0] / 1000.0
        assert 2.0 * found.optimum == pytest.approx(best, rel=1e-12)
        at = squares(found, "batch 1") <= 1.01 * best
        assert found.table["epochs_to_1_percent"][0] == int(np.flatnonzero(at)[0])
        assert found.table["epochs_to_1_percent"].to_list()[1:] == [None, None, 1]

    def test_frames_have_a_row_for_each_epoch_and_run(self, found):
        assert found.epochs.height == 3 * 51 + 2
        assert found.epochs["excess"].min() >= 0.0
        rows = found.epochs.filter(run="batch 64")
        assert rows["rows"].to_list() == [1000.0 * i for i in range(51)]
        assert (rows["seconds"].diff().drop_nulls() > 0.0).all()
        assert found.table["run"].to_list() == ["batch 1", "batch 64", "batch 1000", "automatic"]
        assert found.table["steps"].to_list() == [50_000, 800, 50, None]

    def test_noise_is_that_of_all_rows(self, found):
        notebook = Notebook()
        A = np.column_stack([notebook.X[:, 0], np.ones(1000)])
        at = np.concatenate([notebook.coef_init, [0.0]])
        each = (A @ at - notebook.y)[:, None] * A
        noise = found.noise["start"]
        assert noise.square == pytest.approx((each.mean(axis=0) ** 2).sum(), rel=1e-9)
        assert noise.variance == pytest.approx(np.trace(np.cov(each.T)), rel=1e-9)
        assert noise.of_batch(64) == pytest.approx(noise.scale / 64.0)
        assert found.noise["near"].scale > 100.0 * noise.scale

    def test_ellipses_are_those_of_the_hessian(self, found):
        notebook = Notebook()
        A = np.column_stack([notebook.X[:, 0], np.ones(1000)])
        best = np.linalg.lstsq(A, notebook.y, rcond=None)[0]
        surface, H = found.surface, A.T @ A / 1000.0
        np.testing.assert_allclose(surface.directions @ surface.directions.T, np.eye(2), atol=1e-12)
        in_plane = surface.directions @ H @ surface.directions.T
        np.testing.assert_allclose(surface.quadratic.hessian, in_plane, rtol=1e-9)
        start = np.concatenate([notebook.coef_init, [0.0]])
        high = 0.5 * (start - best) @ H @ (start - best)
        lengths, axes = np.linalg.eigh(in_plane)
        for share, x, y in surface.levels:
            along = np.column_stack([x, y]) @ axes
            np.testing.assert_allclose(along**2 @ lengths, 2.0 * share * high, rtol=1e-6)
            np.testing.assert_allclose(
                np.abs(along).max(axis=0), np.sqrt(2.0 * share * high / lengths), rtol=1e-4
            )
        x, y = surface.paths["batch 64"]
        points = np.column_stack([x, y]) @ surface.directions + best
        np.testing.assert_allclose(points[0], start, atol=1e-12)
        np.testing.assert_allclose(points[-1], found.runs[1].curve.params[-1])
        assert x.size > 51  # places within the first epoch, too

    def test_says_what_it_means(self, found):
        text = as_text(found)
        assert text == str(found)
        assert "Batch 1 comes within 1 % of the optimum, in epoch 4." in text
        assert "automatic method is within 1 % in epoch 1 (2 passes over the rows), in" in text
        assert "Not within 1 % of it by the end: batch 64; batch 1000." in text
        assert "110 rows within 1 % of the optimum" in text
        head, rows = cells(found)
        assert head[5] == "mean square"
        assert [row[5] for row in rows][1] == "0.01266"
        assert (head[1], [row[1] for row in rows]) == ("rate", ["0.05", "0.05", "0.05", "–"])
        assert "3 runs" not in repr(found)
        assert repr(found).startswith("<Comparison: batch 1, batch 64, batch 1000;")

    @pytest.mark.parametrize("seconds, rows, words", [
        ((9.0, 0.0), (4, 3), "Take the automatic method, which is the default: no run is there s"),
        ((9.0, 8.0), (4, 3), "no run as quick is there after fewer rows"),
        ((0.01, 0.09), (4, 3), "no run as quick is there after fewer rows"),
        ((0.09, 0.01), (1, 3), "Take batch 1, which is there after 1 pass over the rows; or"),
        ((9.0, 1e3), (4, 3), "Take batch 1, which is among the first; or"),
    ])  # fmt: skip
    def test_ends_with_what_to_take(self, found, seconds, rows, words):
        """By seconds where they differ by more than a second measurement would; else by rows."""
        runs = []
        for run, took, passes in zip((found.runs[0], found.automatic), seconds, rows, strict=True):
            n = len(run.curve.seconds)
            curve = replace(run.curve, seconds=[took] * n, rows=[1000.0 * passes] * n)
            runs.append(replace(run, curve=curve))
        timed = replace(found, runs=[runs[0], *found.runs[1:]], automatic=runs[1])
        assert words in recommendation(timed)
        assert as_text(timed).endswith(recommendation(timed))
        assert recommendation(replace(timed, interrupted=True)) == ""

    def test_the_page_is_sound(self, found, tmp_path):
        html = found.report().html
        page = check(html)
        names = [s["aria-labelledby"] for s in page.all("section")]
        assert names == ["runs", "curves", "noise", "paths", "how"]
        assert len(page.all("figure")) == 4
        assert html.count('class="line s0 d0"') == 8  # in each figure, and in its key
        found.save(tmp_path / "page.html")
        assert (tmp_path / "page.html").read_text() == html
        assert "sandbox" in found._repr_html_()


class TestPlayback:
    def test_shows_each_run_where_it_was(self, found):
        played = Playback.of(found, found.surface)
        half = played.moments.index(0.5)
        assert (played.moments[0], played.moments[-1], len(played.moments)) == (0.0, 50.0, 25)
        at = {name: places[half] for name, places in played.places.items()}
        # A place every 20 rows, every batch (512 rows are more than a half), and none
        assert at == {"batch 1": 25, "batch 64": 7, "batch 1000": 0}
        ends = {name: len(x) - 1 for name, (x, _) in found.surface.paths.items()}
        assert {name: places[-1] for name, places in played.places.items()} == ends
        assert [places[played.moments.index(1.0)] for places in played.places.values()] == [
            len(found.surface.paths[name][0]) - 50 for name in played.places
        ]

    def test_is_chosen_by_buttons_without_a_script(self, found):
        page = check(found.report().html)  # no script among it
        buttons, style = page.all("input"), page.text["style"]
        assert {(b["type"], b["name"]) for b in buttons} == {("radio", "paths-shown")}
        assert [b["id"] for b in buttons if "checked" in b] == ["paths-whole"]
        labels = [label["for"] for label in page.all("label")]
        assert labels == ["paths-whole", "paths-play", "paths-pause"]
        steps = [b["aria-label"] for b in buttons if b["id"] not in labels]
        assert [steps[0], steps[4], steps[-1]] == ["start", "epoch 0.5", "epoch 50"]
        groups = [g["class"] for g in page.all("g") if g["class"].startswith("moment ")]
        assert groups == [f"moment k{k}" for k in range(25)]
        for k in range(25):
            assert f".k{k}{{--k:{k}}}figure:has(.at.k{k}:checked){{--step:{k}}}" in style
        assert "to{--step:24}" in style
        assert style.count("{") == style.count("}")
        assert "prefers-reduced-motion:reduce" in style
        heads = [g for g in page.all("g") if g["class"] == "head"]
        assert 25 <= len(heads) <= 75


class TestDivergence:
    def test_is_told_with_its_reason_and_ends_no_other_run(self):
        notebook = Notebook()
        A = np.column_stack([notebook.X[:, 0], np.ones(1000)])
        largest = np.linalg.eigvalsh(A.T @ A / 1000.0)[-1]
        got = gradstep.compare(batch_size=[64, 1000], learning_rate=[3.0, 0.5], max_iter=3)
        assert [run.diverged is not None for run in got.runs] == [True, False, True, False]
        why = got.runs[0].diverged.why
        assert f"Rate 3 × largest curvature {largest:.3f} = {3.0 * largest:.3f} > 2" in why
        assert f"less than {2.0 / largest:.1f}" in why
        assert got.table["diverged_in_epoch"].to_list() == [1, None, 3, None, None]
        assert "Batch 64, rate 3; batch 1000, rate 3 diverged (in epochs 1, 3). Rate 3 ×" in str(
            got
        )
        assert got.table["why"][0].startswith("diverged in epoch 1 (step 16): the objective is ")
        page = check(got.report().html)
        assert "At a smaller rate" not in str(got)  # each batch size has one that did well
        assert "batch 64, rate 3 (diverged)" in page.text["svg"]
        assert list(got.surface.paths) == ["batch 64, rate 0.5", "batch 1000, rate 0.5"]

    @pytest.mark.uncompiled
    def test_of_small_batches_alone(self):
        """The rows are large once in a while: of all rows the rate is small enough."""
        x = np.where(np.arange(100) % 50 == 0, 10.0, 0.1)
        table = pl.DataFrame({"x": x, "y": 2.0 * x + np.arange(100) % 3})
        got = gradstep.compare(table, "y", batch_size=[1, "all"], learning_rate=0.1, max_iter=2,
                               precondition=False, validation=0.0, penalty=None)  # fmt: skip
        assert [run.diverged is not None for run in got.runs] == [True, False]
        assert "below 2, but a batch of so few rows" in got.runs[0].diverged.why
        assert "take larger batches" in got.runs[0].diverged.why
        words, rate = to_try(got), others_to_try(got)[0].rate
        assert words.endswith(f"try the same with batch_size=1, learning_rate={rate:g}.")
        assert (
            f"At a smaller rate what diverged may do well; try the same with batch 1 at {rate}"
            in (" ".join(check(got.report().html).text["li"].split()))
        )
        again = gradstep.compare(table, "y", batch_size=1, learning_rate=rate, max_iter=2,
                                 precondition=False, validation=0.0, penalty=None)  # fmt: skip
        assert again.runs[0].diverged is None


def table(name="colour"):
    rng = np.random.default_rng(0)
    km, colour = rng.gamma(2.0, 3.0, 60), rng.choice(["red", "green"], 60)
    fare = 3.0 + 2.5 * km + (colour == "red") + rng.normal(size=60)
    return pl.DataFrame({"km": km, name: colour, "fare": fare, "paid": fare > 15.0})


@pytest.mark.uncompiled
class TestTables:
    @pytest.mark.parametrize("standardised", [True, False])
    def test_steps_are_on_columns_as_they_are_or_standardised(self, standardised):
        frame = table().select("km", "fare")
        x, y = frame["km"].to_numpy(), frame["fare"].to_numpy()
        if standardised:
            x = (x - x.mean()) / x.std()
        w = b = 0.0
        losses = []
        for _ in range(4):
            losses.append(0.5 * np.mean((w * x + b - y) ** 2))
            error = w * x + b - y
            w, b = w - 0.01 * np.mean(error * x), b - 0.01 * np.mean(error)
        got = gradstep.compare(frame, "fare", batch_size="all", learning_rate=0.01, max_iter=3,
                               precondition=standardised, validation=0.0, penalty=None)  # fmt: skip
        own = got.epochs.filter(run="all rows")["loss"].to_numpy()
        np.testing.assert_allclose(own, losses, rtol=1e-10)

    def test_named_rates_follow_from_the_columns_as_they_are(self):
        frame = table().select("km", "fare").with_columns(pl.col("km") * 1000.0)
        got = gradstep.compare(frame, "fare", batch_size=["all", 8], max_iter=2,
                               precondition=False, validation=0.0)  # fmt: skip
        assert not any(run.diverged for run in got.runs)
        square = float((frame["km"].to_numpy() ** 2).mean())
        assert got.runs[0].problem.schedule.eta0 == pytest.approx(0.4 / square, rel=1e-3)

    def test_rows_held_out_are_scored_and_classes_have_a_sampled_surface(self, monkeypatch):
        monkeypatch.setattr("gradstep.comparing.surface._GRID", 6)
        monkeypatch.setattr("gradstep.comparing.runs.PLACES", 1)
        got = gradstep.compare(table(), "paid", batch_size=[16, "all"], max_iter=2, drop=["fare"])
        assert got.surface.quadratic is None
        assert got.surface.levels[0][1].size > 2
        assert got.epochs["held_out"].null_count() == 3  # of the starts
        page = check(got.report().html)
        assert len(page.all("figure")) == 5
        assert "held out" in cells(got)[0]
        again = gradstep.compare(table(), "paid", batch_size=[16, "all"], max_iter=2, drop=["fare"])
        assert again.epochs.drop("seconds").equals(got.epochs.drop("seconds"))

    def test_weights_are_in_the_noise(self):
        frame = table().select("km", "fare").with_columns(w=pl.Series(np.arange(60) % 3 + 1.0))
        x, y, w = (frame[name].to_numpy() for name in ("km", "fare", "w"))
        mean = np.average(x, weights=w)
        x = (x - mean) / np.sqrt(np.average((x - mean) ** 2, weights=w))
        each = (w / w.mean() * -y)[:, None] * np.column_stack([x, np.ones(60)])
        got = gradstep.compare(frame, "fare", batch_size=8, learning_rate=0.01, max_iter=1,
                               sample_weight="w", validation=0.0, penalty=None)  # fmt: skip
        noise = got.noise["start"]
        assert noise.variance == pytest.approx(np.trace(np.cov(each.T)), rel=1e-9)
        assert noise.square == pytest.approx((each.mean(axis=0) ** 2).sum(), rel=1e-9)

    def test_targets_without_noise_have_an_optimum_of_zero(self):
        frame = pl.DataFrame({"x": np.arange(40.0), "y": 2.0 * np.arange(40.0)})
        got = gradstep.compare(frame, "y", batch_size=[8, "all"], max_iter=2, validation=0.0,
                               penalty=None)  # fmt: skip
        check(got.report().html)
        assert got.optimum == pytest.approx(0.0, abs=1e-20)
        assert "automatic" in str(got)

    def test_hostile_names_do_nothing(self):
        content = next(each for each in HOSTILE if "<" in each)
        frame = table().select(pl.col("km"), pl.col("fare").alias(content))
        got = gradstep.compare(frame, content, batch_size=8, max_iter=1, validation=0.0)
        check(got.report().html)

    @pytest.mark.parametrize("after", [0, 3])
    def test_an_interruption_keeps_what_there_is(self, after):
        class Interrupting:
            epochs = 0

            def on_epoch_end(self, event):
                if event.problem.batch_size:  # not the automatic method's
                    self.epochs += 1
                    if self.epochs > after:
                        raise KeyboardInterrupt

        got = gradstep.compare(table(), "fare", batch_size=[8, 16, 32], max_iter=2,
                               callbacks=[Interrupting()])  # fmt: skip
        assert got.interrupted
        assert [run.curve.epochs for run in got.runs] == ([2, 2] if after else [1])
        assert sentences(got)[-1].startswith("It was interrupted")
        assert got.noise == {}
        check(got.report().html)


def test_paths_of_many_parameters_are_not_kept(monkeypatch):
    """Of a million features they would take gigabytes."""
    asked = {"batch_size": [64, "all"], "max_iter": 3}
    whole = gradstep.compare(**asked)
    monkeypatch.setattr("gradstep.comparing.compare._MOST_KEPT", 100)
    found = gradstep.compare(**asked)
    assert [len(run.curve.params) for run in (*found.runs, found.automatic)] == [2, 2, 2]
    assert found.surface is None
    assert found.epochs.drop("seconds").equals(whole.epochs.drop("seconds"))
    for ours, all_of_them in zip(found.runs, whole.runs, strict=True):
        assert len(all_of_them.curve.params) == 4
        assert (ours.curve.params[-1] == all_of_them.curve.params[-1]).all()


def test_a_surface_on_a_grid_is_crossed_where_it_is_so_high():
    x, y = np.linspace(-2.0, 2.0, 41), np.linspace(-1.5, 1.5, 31)
    heights = x**2 + y[:, None] ** 2
    found = np.hypot(*crossings(x, y, heights, 1.0))
    assert np.nanmax(np.abs(found - 1.0)) < 0.01
    assert np.isnan(crossings(x, y, heights, 99.0)[0]).all()


def test_a_quadratic_is_known_from_six_points():
    H, slope = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([0.3, -0.2])

    def height(*at):
        return 4.0 + slope @ at + 0.5 * np.array(at) @ H @ at

    found = Quadratic.through(height, 3.0, 0.7)
    np.testing.assert_allclose(found.hessian, H, rtol=1e-12)
    np.testing.assert_allclose(found.slope, slope, rtol=1e-12)
    assert Quadratic(0.0, slope, np.diag([1.0, 0.0])).ellipse(1.0) is None


@pytest.mark.parametrize(
    "given, words",
    [
        ({"batch_size": 0}, "batch_size=0 of compare must be a whole number >= 1"),
        ({"batch_size": "some"}, "must be a number of rows, such as 64, or 'all'"),
        ({"batch_size": []}, "is an empty list"),
        ({"optimizer": "adamm"}, "Did you mean 'adam'"),
        ({"optimizer": ["sgd", "svrg"]}, "is the automatic method"),
        ({"optimizer": "auto"}, "is the automatic method"),
        ({"learning_rate": -1.0}, "must be a finite number > 0"),
        ({"shuffle": "often"}, "shuffle='often' of compare must be"),
        ({"max_iter": 0}, "max_iter=0 of compare must be"),
        ({"target": "y"}, "target would change nothing without a table"),
        ({"batch_size": [1, 2, 3, 4, 5], "learning_rate": [0.1, 0.2, 0.3, 0.4, 0.5]},
         "These are 25 runs (5 batch sizes × 5 learning rates)"),
        ({"table": table(), "target": "paid", "loss": "perceptron"}, "there is no optimum"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(given, words):
    with pytest.raises(InvalidParameter) as error:
        gradstep.compare(**given)
    assert words in str(error.value)


def test_trials_are_named_by_what_tells_them_apart():
    def of(*given):
        return [trial.name for trial in trials_of(*given)]

    assert of(64, "sgd", 0.1, "exact") == ["batch 64"]
    assert of([8, "all"], gradstep.Momentum(0.5), 0.1, "exact") == ["batch 8", "all rows"]
    assert of(8, "sgd", 0.1, [True, "blocks", False]) == [
        "shuffled", "shuffled by blocks", "not shuffled",
    ]  # fmt: skip
    assert of([8, 8], [gradstep.SGD(), gradstep.Adam()], "cosine", "exact") == [
        "batch 8, SGD()", f"batch 8, {gradstep.Adam()!r}",
    ]  # fmt: skip
