"""From a table to a model: good without any knob turned, the same bits each time."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

import gradstep
from gradstep import GradstepWarning, InvalidParameter, Outcome, evaluate, fit_table, prepare
from tests.fit.tables import COEF, SCALES, columns, counts, linear, logistic, three
from tests.uncompiled import uncompiled


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
