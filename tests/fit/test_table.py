"""From a table to a model: good without any knob turned, the same bits each time."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

import gradstep
from gradstep import (
    Diverged,
    GradstepWarning,
    InvalidParameter,
    InvalidTable,
    Outcome,
    evaluate,
    fit_table,
    prepare,
)
from tests.uncompiled import uncompiled

N = 3000
SCALES = np.array([1e-6, 1e-3, 1.0, 1e3, 1e6])
COEF = np.array([1.0, -2.0, 0.5, 1.5, -1.0])


def columns(n=N, seed=0, scales=SCALES):
    """Return raw columns of all scales, far from zero, and the normal numbers behind them."""
    x = np.random.default_rng(seed).normal(size=(n, scales.size))
    raw = (x + np.array([3.0, -5.0, 100.0, 0.0, -2.0])) * scales
    return {f"x{j}": raw[:, j] for j in range(scales.size)}, x


def linear(n=N, seed=0, noise=0.1, scales=SCALES):
    raw, x = columns(n, seed, scales)
    y = x @ COEF + 4.0 + noise * np.random.default_rng(seed + 1).normal(size=n)
    return pl.DataFrame({**raw, "y": y})


def logistic(n=N, seed=0):
    raw, x = columns(n, seed)
    y = x @ COEF + np.random.default_rng(seed + 1).logistic(size=n) > 0.5
    return pl.DataFrame({**raw, "y": np.where(y, "yes", "no")})


def three(n=N, seed=0):
    raw, x = columns(n, seed)
    scores = np.column_stack([x @ COEF, -x @ COEF, np.zeros(n)])
    y = (scores + np.random.default_rng(seed + 1).gumbel(size=(n, 3))).argmax(axis=1)
    return pl.DataFrame({**raw, "y": np.array(["a", "b", "c"])[y]})


def counts(n=N, seed=0):
    raw, x = columns(n, seed)
    y = np.random.default_rng(seed + 1).poisson(np.exp(0.3 * x @ COEF + 0.5))
    return pl.DataFrame({**raw, "y": y.astype(float)})


class TestWithoutAKnobTurned:
    def test_linear(self):
        fit = fit_table(linear(), "y")
        assert fit.validation["rmse"] == pytest.approx(0.1, rel=0.1)
        assert fit.baseline["rmse"] > 2.5
        np.testing.assert_allclose(fit.model.coef_[0] * SCALES, COEF, atol=0.03)
        assert fit.notes == []

    def test_logistic(self):
        fit = fit_table(logistic(), "y")
        _, x = columns()
        oracle = LogisticRegression(C=1e3).fit(x, logistic()["y"])
        np.testing.assert_allclose(fit.model.coef_[0] * SCALES, oracle.coef_[0], atol=0.15)
        assert fit.validation["log_loss"] < 0.6 * fit.baseline["log_loss"]
        assert fit.validation["auc"] > 0.9
        assert fit.baseline["auc"] == 0.5

    def test_softmax(self):
        fit = fit_table(three(), "y")
        assert fit.model.coef_.shape == (3, 5)
        difference = (fit.model.coef_[0] - fit.model.coef_[1]) * SCALES
        np.testing.assert_allclose(difference, 2.0 * COEF, atol=0.5)
        assert fit.validation["log_loss"] < 0.75 * fit.baseline["log_loss"]
        assert fit.validation["accuracy"] > fit.baseline["accuracy"] + 0.2

    @uncompiled
    def test_poisson(self):
        fit = fit_table(counts(), "y", loss="poisson", alpha=1e-4, refit=False)
        np.testing.assert_allclose(fit.model.coef_[0] * SCALES, 0.3 * COEF, atol=0.06)
        assert fit.validation["deviance"] < 0.7 * fit.baseline["deviance"]

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "loss", ["huber", "pinball", "epsilon_insensitive", "squared_epsilon_insensitive"]
    )
    def test_other_losses_of_numbers(self, loss):
        fit = fit_table(linear(600), "y", loss=loss)
        assert fit.validation["mae"] < 0.3 * fit.baseline["mae"]

    @pytest.mark.slow
    @pytest.mark.parametrize("loss", ["hinge", "squared_hinge", "modified_huber", "perceptron"])
    @pytest.mark.parametrize("table", [logistic, three])
    def test_other_losses_of_classes(self, loss, table):
        fit = fit_table(table(600), "y", loss=loss)
        assert fit.validation["accuracy"] > fit.baseline["accuracy"] + 0.1

    @pytest.mark.slow
    @pytest.mark.parametrize("loss", ["gamma", "tweedie"])
    def test_other_losses_of_rates(self, loss):
        table = counts(600).with_columns(pl.col("y") + 0.5)
        fit = fit_table(table, "y", loss=loss)
        assert fit.validation["deviance"] < 0.8 * fit.baseline["deviance"]

    @pytest.mark.parametrize(
        "optimizer",
        [
            "sgd",
            "adam",
            *(
                pytest.param(o, marks=pytest.mark.slow)
                for o in ("momentum", "nesterov", "adagrad", "ftrl")
            ),
        ],
    )
    def test_every_optimizer(self, optimizer):
        fit = fit_table(linear(1000), "y", optimizer=optimizer, max_iter=200)
        assert fit.validation["r2"] > 0.95

    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.parametrize("scale", [1e-6, 1e6])
    def test_never_diverges(self, seed, scale):
        """As a constant rate on raw columns does: heavy tails, one far row, few rows."""
        rng = np.random.default_rng(seed)
        x = rng.standard_t(1.5, size=(120, 6)) * scale
        x[7] *= 1e4
        table = pl.DataFrame({f"x{j}": x[:, j] for j in range(6)} | {"y": rng.normal(size=120)})
        fit = fit_table(table, "y", validation=0.0)
        assert np.isfinite(fit.model.params).all()
        y = table["y"].to_numpy()
        assert np.mean((fit.model.predict(table) - y) ** 2) < 1.05 * y.var()

    @uncompiled
    def test_a_number_of_two_values_is_a_class(self):
        table = linear(300).with_columns(y=(pl.col("y") > 4.0).cast(pl.Int64) * 5)
        fit = fit_table(table, "y", alpha=1e-4)
        assert fit.model.classes_.tolist() == [0, 5]
        assert set(fit.model.predict(table).tolist()) == {0, 5}
        for asked in ({"task": "regression"}, {"loss": "huber"}):
            assert fit_table(table, "y", alpha=1e-4, **asked).model.classes_ is None


@uncompiled
def test_a_fit_is_told_in_a_line():
    fit = fit_table(linear(300), "y", alpha=1e-4)
    told = f"OPTIMAL, rmse {fit.validation['rmse']:.5g} on rows held out>"
    assert repr(fit) == f"<TableFit of {fit.model!r}, {told}"
    assert repr(fit_table(linear(300), "y", alpha=1e-4, validation=0.0)).endswith(", OPTIMAL>")


class TestOrder:
    @pytest.mark.parametrize("disk", [False, True])
    def test_a_table_sorted_by_its_label_learns_as_a_shuffled_one(self, disk, tmp_path):
        table = logistic(6000)
        losses = []
        for k, rows in enumerate(
            [table.sort("y"), table.sample(fraction=1.0, shuffle=True, seed=0)]
        ):
            prepared = prepare(rows, "y", validation=0.0, out=tmp_path / str(k) if disk else None)
            model = fit_table(prepared, max_iter=30).model
            losses.append(evaluate(model, table)["log_loss"])
        assert losses[0] == pytest.approx(losses[1], rel=1e-3)

    @pytest.mark.parametrize("table", [linear, three], ids=["linear", "softmax"])
    def test_the_same_input_gives_the_same_bits(self, table, tmp_path):
        rows = table(500)
        rows.write_parquet(tmp_path / "t.parquet")
        one = fit_table(rows, "y", max_iter=5)
        for other in (
            fit_table(rows, "y", max_iter=5),
            fit_table(tmp_path / "t.parquet", "y", max_iter=5),
            fit_table(prepare(rows, "y", out=tmp_path / "p"), max_iter=5),
        ):
            assert other.model.params.tobytes() == one.model.params.tobytes()
            assert other.validation == one.validation
        assert fit_table(rows, "y", max_iter=5, random_state=1).model.params.tobytes() != (
            one.model.params.tobytes()
        )


class Interrupts:
    """Ctrl-C after an epoch."""

    def __init__(self, after):
        self.after, self.seen = after, []

    def on_epoch_end(self, event):
        self.seen.append(event.state.current().copy())
        if len(self.seen) == self.after:
            raise KeyboardInterrupt


class TestInterrupted:
    @pytest.mark.parametrize("validation", [0.0, 0.2])
    def test_gives_the_best_so_far(self, validation):
        with pytest.warns(GradstepWarning, match="GS108: Interrupted: the fit has ended"):
            fit = fit_table(
                linear(500), "y", callbacks=[Interrupts(3)], validation=validation, tol=None,
                max_iter=50, alpha=1e-4, optimizer="sgd",
            )  # fmt: skip
        assert fit.outcome is Outcome.INTERRUPTED
        assert len(fit.history) == 3
        whole = fit_table(
            linear(500), "y", validation=validation, tol=None, max_iter=3, optimizer="sgd",
            refit=False,
        )  # fmt: skip
        assert fit.model.params.tobytes() == whole.model.params.tobytes()
        assert fit.validation == whole.validation
        assert fit.model.provenance["outcome"] == "interrupted"

    def test_before_there_is_any_model(self):
        class AtOnce:
            def on_start(self, event):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fit_table(linear(500), "y", callbacks=[AtOnce()])


class TestLossOfClasses:
    """What a loss becomes does not depend on how it is given, nor on the front."""

    @pytest.mark.parametrize(
        "loss, of_three",
        [
            ("log_loss", gradstep.Softmax()),
            (gradstep.LogLoss(), gradstep.Softmax()),
            (gradstep.Softmax(), gradstep.Softmax()),
            *(
                pytest.param(*each, marks=pytest.mark.slow)
                for each in (
                    (
                        gradstep.OneVsRest(gradstep.LogLoss()),
                        gradstep.OneVsRest(gradstep.LogLoss()),
                    ),
                    ("hinge", gradstep.OneVsRest(gradstep.Hinge())),
                )
            ),
        ],
    )
    def test_of_three_is_that_of_the_estimator(self, loss, of_three):
        prepared = prepare(three(300), "y")
        fit = fit_table(prepared, loss=loss, max_iter=2)
        assert repr(fit.model.loss) == repr(of_three)
        model = gradstep.MiniBatchClassifier(loss, max_iter=2, tol=None).fit(prepared)
        assert repr(model._model.loss) == repr(of_three)

    @pytest.mark.parametrize("loss", [gradstep.Softmax(), gradstep.OneVsRest(gradstep.Hinge())])
    def test_with_a_score_for_each_is_refused_of_two(self, loss):
        prepared = prepare(logistic(100), "y")
        for fit in (
            lambda: fit_table(prepared, loss=loss),
            lambda: gradstep.MiniBatchClassifier(loss).fit(prepared),
        ):
            with pytest.raises(InvalidParameter, match=r"takes a score for each class.*: use "):
                fit()

    def test_is_refused_of_numbers(self):
        prepared = prepare(linear(100), "y")
        for loss in (gradstep.LogLoss(), gradstep.Softmax()):
            with pytest.raises(InvalidParameter, match="is one of classes; the target 'y'"):
                fit_table(prepared, loss=loss)


class TestPrepared:
    def test_options_that_come_too_late(self):
        prepared = prepare(linear(100), "y")
        with pytest.raises(InvalidParameter, match=r"prepared already: drop would change nothing"):
            fit_table(prepared, drop="x1")
        with pytest.raises(InvalidParameter, match="prepared for the target 'y', not 'x1'"):
            fit_table(prepared, "x1")

    def test_a_target_is_needed(self):
        with pytest.raises(InvalidParameter, match="A target is needed"):
            fit_table(linear(100))

    @pytest.mark.parametrize("name", ["batch_size", "max_iter", "n_iter_no_change"])
    def test_numbers_from_one_on(self, name):
        with pytest.raises(InvalidParameter, match=f"{name}=0 .* whole number >= 1"):
            fit_table(linear(100), "y", **{name: 0})

    @uncompiled
    @pytest.mark.parametrize("loss", ["poisson", gradstep.Poisson()])
    def test_offsets_go_with_the_loss(self, loss):
        """Whether it is told by its name or as an object."""
        table = counts(500).with_columns(o=pl.col("x2") / 200.0)
        fit = fit_table(table, "y", loss=loss, offset="o", max_iter=5, alpha=1e-4)
        assert fit.prepared.meta["asked"]["log_power"] == 1.0


class TestFolds:
    def test_are_fits_of_the_other_rows(self):
        """Each is what a fit says that was given its rows as a table to validate on."""
        table = linear(90)
        fit = fit_table(table, "y", validation=0.0, cv=3, tol=1e-9)
        train, frame = fit.prepared.train, table.to_numpy()
        rows = fit.prepared.encoding.encode(table).values
        order = [int(np.abs(rows - row).sum(axis=1).argmin()) for row in train.rows.values]
        assert sorted(order) == list(range(90))
        for part, found in enumerate(fit.folds):
            held_out = order[30 * part : 30 * part + 30]
            others = np.setdiff1d(order, held_out)
            scaled = (frame[:, :5] - frame[:, :5].mean(axis=0)) / frame[:, :5].std(axis=0)
            oracle = LinearRegression().fit(scaled[others], frame[others, 5])
            error = oracle.predict(scaled[held_out]) - frame[held_out, 5]
            assert found["rows"] == 30
            assert found["rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=0.02)
        whole = fit_table(table, "y", validation=0.0, tol=1e-9)
        assert fit.model.params.tobytes() == whole.model.params.tobytes()
        assert whole.folds == []

    def test_of_classes_with_weights(self):
        table = three(150).with_columns(w=pl.Series([1.0, 2.0, 0.0] * 50))
        fit = fit_table(table, "y", sample_weight="w", class_weight="balanced", cv=2, alpha="auto")
        train = fit.prepared.train
        assert [fold["rows"] for fold in fit.folds] == [train.n // 2, train.n - train.n // 2]
        total = sum(np.sum(fold["confusion"]) for fold in fit.folds)
        of_class = np.array(fit.prepared.meta["class_weights"])[train.targets()[:, 0].astype(int)]
        assert total == pytest.approx((train.weights() / of_class).sum())

    @pytest.mark.parametrize(
        "options, words",
        [
            ({"cv": 100}, r"cv=100 of fit_table must be .* <= 50"),
            ({"cv": 1}, r"cv=1 of fit_table must be .* >= 2"),
            ({"cv": 2, "loss": "poisson", "exposure": "o"}, "with an offset or an exposure"),
        ],
    )
    def test_that_cannot_be_are_refused_before_training(self, options, words):
        table, planned = counts(50).with_columns(o=pl.lit(0.5)), []
        with pytest.raises(InvalidParameter, match=words):
            fit_table(table, "y", validation=0.0, on_plan=planned.append, **options)
        assert planned == []

    @uncompiled
    def test_end_where_a_run_would(self):
        """A signal that comes when the model is there already ends them, and leaves it whole."""

        class Ends:
            runs = 0

            def on_start(self, _start):
                self.runs += 1

            def on_pause(self, _pause):
                return Outcome.INTERRUPTED if self.runs == 3 else None

        table, options = linear(60), {"validation": 0.0, "optimizer": "adam", "max_iter": 2}
        fit = fit_table(table, "y", cv=4, callbacks=[Ends()], **options)
        assert fit.folds == []
        assert fit.notes[-1] == ("GS112: Interrupted in the cross-validation, which is left out.")
        whole = fit_table(table, "y", **options)
        assert fit.model.params.tobytes() == whole.model.params.tobytes()
        assert fit.outcome is whole.outcome

    @uncompiled
    def test_of_which_a_part_diverges_are_left_out(self, monkeypatch):
        def diverges(*_arguments, **_by_index):
            msg = "Training diverged."
            raise Diverged(msg, epoch=1)

        monkeypatch.setattr("gradstep.fit.table.evaluate_folds", diverges)
        fit = fit_table(linear(60), "y", cv=2, optimizer="adam", max_iter=2)
        assert fit.notes[-1] == (
            "GS112: Cross-validation is left out: of a part, Training diverged."
        )


class TestExposures:
    def table(self):
        rng = np.random.default_rng(4)
        x, years = rng.normal(size=400), rng.uniform(0.1, 90.0, 400)
        return pl.DataFrame({"x": x, "years": years, "y": rng.poisson(years * np.exp(x - 3.0))})

    @uncompiled
    def test_are_offsets_once_their_logarithm_is_taken(self):
        table, given = self.table(), {"loss": "poisson", "validation": 0.2, "alpha": 1e-4}
        fit = fit_table(table, "y", exposure="years", **given)
        logs = table.select("x", "y", pl.col("years").log().alias("o"))
        expected = fit_table(logs, "y", offset="o", **given)
        assert fit.model.params.tobytes() == expected.model.params.tobytes()
        assert fit.validation == pytest.approx(expected.validation)
        assert (fit.model.offset, fit.model.exposure) == (None, "years")
        assert evaluate(fit.model, table)["deviance"] < 1.5

    @uncompiled
    @pytest.mark.parametrize("loss, power", [("poisson", 1.0), ("tweedie", 1.5)])
    def test_alpha_is_relative_to_the_loss_per_exposure(self, loss, power):
        """That of the counts, over the rows, has alpha times the mean weight of an exposure."""
        table, alpha = self.table(), 0.1
        fit = fit_table(
            table, "y", exposure="years", loss=loss, alpha=alpha, penalty_scale="unit", tol=1e-10,
            validation=0.0,
        )  # fmt: skip
        x, years, y = table["x"].to_numpy(), table["years"].to_numpy(), table["y"].to_numpy()
        (w,), b = fit.model.coef_[0], fit.model.intercept_[0]
        mean = years * np.exp(x * w + b)
        slope = np.mean((mean - y) * mean ** (1.0 - power) * x)
        assert slope + alpha * np.mean(years ** (2.0 - power)) * w == pytest.approx(0.0, abs=1e-6)
        assert abs(w) > 0.3

    @uncompiled
    def test_as_people_write_them(self):
        table, given = self.table(), {"loss": "poisson", "exposure": "years", "alpha": 1e-4}
        text = pl.col("years").cast(pl.String).str.replace(".", ",", literal=True)
        fit = fit_table(table.with_columns(text), "y", **given)
        expected = fit_table(table, "y", **given)
        assert fit.model.params.tobytes() == expected.model.params.tobytes()
        assert "GS009: Numbers are read with a decimal comma: years." in fit.notes
        np.testing.assert_array_equal(
            fit.model.predict(table.with_columns(text)), expected.model.predict(table)
        )

    def test_one_that_is_given_as_an_offset_is_told(self):
        with pytest.raises(InvalidParameter, match=r"'years' multiplies .* Give loss='poisson'"):
            fit_table(self.table(), "y", exposure="years")
        with pytest.raises(InvalidTable, match=r"'years' goes from .*--exposure years"):
            fit_table(self.table(), "y", loss="poisson", offset="years")
        # numbers that are added to a score that is no logarithm may be any
        fit_table(self.table(), "y", offset="years", max_iter=2)

    @pytest.mark.parametrize("wrong", [0.0, -1.0, None, float("inf")])
    def test_must_be_above_zero(self, wrong):
        table = self.table().with_columns(
            pl.when(pl.int_range(pl.len()) == 2).then(wrong).otherwise("years").alias("years")
        )
        with pytest.raises(InvalidTable, match=r"exposure 'years' is .* in row 3 .* above 0"):
            fit_table(table, "y", loss="poisson", exposure="years")

    def test_go_without_an_offset(self):
        with pytest.raises(InvalidParameter, match="give one of the two"):
            fit_table(self.table(), "y", loss="poisson", exposure="years", offset="x")
        with pytest.raises(InvalidTable, match="The exposure 'yeers' is not a column"):
            fit_table(self.table(), "y", loss="poisson", exposure="yeers")


class TestClassWeights:
    def test_metrics_are_of_rows_as_they_are(self):
        """And so is the best constant."""
        table = logistic(900).with_columns(rare=pl.int_range(pl.len()) % 9 == 0)
        table = table.filter(pl.col("rare") | (pl.col("y") == "no")).drop("rare")
        options = {"validation": 0.3}
        plain = fit_table(table, "y", **options)
        fit = fit_table(table, "y", class_weight="balanced", **options)
        assert fit.baseline.pop("confusion") == plain.baseline.pop("confusion")
        assert fit.baseline == pytest.approx(plain.baseline, rel=1e-6)
        confusion = np.array(fit.validation["confusion"])
        assert confusion.sum() == fit.validation["rows"]
        assert confusion[1, 1] > plain.validation["confusion"][1][1]

    def test_on_the_way_through_a_folder(self, tmp_path):
        table = logistic(300)
        options = {"class_weight": {"yes": 3.0}, "validation": 0.2}
        fit = fit_table(prepare(table, "y", out=tmp_path / "p", **options))
        expected = fit_table(table, "y", **options)
        assert fit.model.params.tobytes() == expected.model.params.tobytes()
        assert fit.validation == expected.validation

    @pytest.mark.parametrize(
        "weights, message",
        [
            ("even", "class_weight='even' must be 'balanced', or weights by class"),
            (
                {"yess": 2.0},
                "names 'yess', which is no class of the target 'y'. Did you mean 'yes'",
            ),
            ({"yes": 0.0}, r"class_weight\['yes'\]=0.0 of prepare must be a number > 0"),
        ],
    )
    def test_that_are_wrong(self, weights, message):
        with pytest.raises(InvalidParameter, match=message):
            fit_table(logistic(50), "y", class_weight=weights)

    def test_of_numbers(self):
        with pytest.raises(InvalidParameter, match="the target 'y' is a number"):
            fit_table(linear(50), "y", class_weight="balanced")


def as_in_training(found, fit):
    """Compare what `evaluate` has found with what a fit said of the same rows."""
    assert found.pop("baseline") == pytest.approx(fit.baseline, rel=1e-9)
    tenths = found.pop("calibration", []), fit.validation.pop("calibration", [])
    for one, other in zip(*tenths, strict=True):
        assert one == pytest.approx(other, rel=1e-9)
    assert found == pytest.approx(fit.validation, rel=1e-9)


class TestEvaluate:
    def test_is_as_the_validation_said(self):
        table = linear(800)
        fit = fit_table(table[:600], "y", validation_table=table[600:], max_iter=10)
        as_in_training(evaluate(fit.model, table[600:]), fit)

    def test_of_classes(self):
        table = three(800)
        fit = fit_table(table[:600], "y", validation_table=table[600:], max_iter=10)
        found = evaluate(fit.model, table[600:])
        assert found.pop("confusion") == fit.validation.pop("confusion")
        assert found["baseline"].pop("confusion") == fit.baseline.pop("confusion")
        as_in_training(found, fit)

    def test_of_two_classes(self):
        table = logistic(800)
        fit = fit_table(table[:600], "y", validation_table=table[600:], max_iter=10)
        found = evaluate(fit.model, table[600:])
        assert found.pop("confusion") == fit.validation.pop("confusion")
        assert found["baseline"].pop("confusion") == fit.baseline.pop("confusion")
        assert len(found["calibration"]) == 10
        as_in_training(found, fit)

    def test_with_an_offset(self):
        table = counts(800).with_columns(o=pl.Series(np.random.default_rng(5).normal(size=800) / 2))
        fit = fit_table(
            table[:600], "y", loss="poisson", offset="o", validation_table=table[600:], max_iter=10
        )
        as_in_training(evaluate(fit.model, table[600:]), fit)

    def test_a_weight_of_two_is_a_row_twice(self):
        table = linear(300)
        model = fit_table(table, "y", max_iter=3).model
        weight = np.random.default_rng(0).integers(0, 3, 300)
        repeated = table[np.repeat(np.arange(300), weight)]
        one = evaluate(model, table.with_columns(w=pl.Series(weight)), sample_weight="w")
        two = evaluate(model, repeated)
        assert one.pop("rows") == (weight > 0).sum()
        assert two.pop("rows") == weight.sum()
        constant = one.pop("baseline"), two.pop("baseline")
        assert constant[0]["rmse"] == pytest.approx(constant[1]["rmse"], rel=1e-12)
        assert one == pytest.approx(two, rel=1e-12)

    def test_rows_without_a_target_are_left_out_and_counted(self):
        table = linear(100)
        model = fit_table(table, "y", max_iter=3).model
        gone = table.with_columns(
            pl.when(pl.int_range(pl.len()) < 7).then(None).otherwise("y").alias("y")
        )
        found = evaluate(model, gone)
        assert found.pop("missing_target") == 7
        expected = evaluate(model, table[7:])
        assert found.pop("baseline") == pytest.approx(expected.pop("baseline"), rel=1e-12)
        assert found == pytest.approx(expected, rel=1e-12)

    def test_without_any_target(self):
        model = fit_table(linear(100), "y", max_iter=3).model
        with pytest.raises(InvalidTable, match="no row with a value of the target 'y'"):
            evaluate(model, linear(100).with_columns(y=pl.lit(None, pl.Float64)))
