"""`fit_table` and the estimators, stopped and resumed: the same model, the same records."""

from __future__ import annotations

import pickle

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

import gradstep as gs
from gradstep import Checkpoint, GradstepWarning, MiniBatchClassifier, Outcome, fit_table
from tests.checkpoints.stops import Stop
from tests.uncompiled import uncompiled

pytestmark = uncompiled
ADAM = {"optimizer": "adam", "learning_rate": 0.02, "batch_size": 16}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    x, colour = rng.normal(size=120), rng.choice(["red", "green"], 120)
    y = 2.0 * x + (colour == "red") + rng.normal(scale=0.3, size=120)
    kind = np.where(y > 1.0, "high", np.where(y > -1.0, "middle", "low"))
    return pl.DataFrame({"x": x, "colour": colour, "y": y, "kind": kind})


def ended(fit, folder):
    """Fit again and again until it is done; return the last, and how often it was stopped."""
    rng, stops = np.random.default_rng(1), 0
    while True:
        checkpoint = Checkpoint(folder, "4steps", resume=True)
        found = fit([Stop(int(rng.integers(2, 5))), checkpoint])
        outcome = found.outcome if hasattr(found, "outcome") else found.outcome_
        if outcome is not Outcome.INTERRUPTED:
            return found, stops
        stops += 1


@pytest.mark.parametrize(
    "target, options",
    [
        ("y", {**ADAM, "max_iter": 4}),
        ("kind", {**ADAM, "max_iter": 4, "validation": 0.0}),
        ("y", {"optimizer": "sgd", "max_iter": 3, "penalty": "l1"}),
        ("y", {**ADAM, "alpha": "auto", "max_iter": 2}),
        ("y", {**ADAM, "kinds": {"colour": "text"}, "splines": ["x"], "max_iter": 3}),
        pytest.param(
            "y", {"bounds": {"x": (0.0, 1.0)}, "loss": "huber", "max_iter": 6},
            marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
def test_tables(table, target, options, tmp_path):
    other = "kind" if target == "y" else "y"

    def fit(callbacks=()):
        return fit_table(table, target, callbacks=callbacks, drop=[other], **options)

    whole, (resumed, stops) = fit(), ended(fit, tmp_path / "run")
    assert stops > 1
    for name, fitted in (("whole", whole), ("resumed", resumed)):
        gs.save(fitted.model, tmp_path / name)
    assert (tmp_path / "resumed").read_bytes() == (tmp_path / "whole").read_bytes()
    assert [r.loss for r in resumed.history] == [r.loss for r in whole.history]
    assert (resumed.notes, resumed.validation) == (whole.notes, whole.validation)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_estimators(table, form, tmp_path):
    X = form(np.column_stack([table["x"], table["colour"] == "red"]).astype(float))

    def fit(callbacks=()):
        model = MiniBatchClassifier(
            **ADAM, early_stopping=True, max_iter=5, tol=None, average=20, callbacks=list(callbacks)
        )
        return model.fit(X, table["kind"].to_numpy())

    whole, (resumed, stops) = fit(), ended(fit, tmp_path / "run")
    assert stops > 1
    assert resumed.coef_.tobytes() == whole.coef_.tobytes()
    assert (resumed.n_iter_, resumed.t_) == (whole.n_iter_, whole.t_)
    assert resumed.loss_curve_ == whole.loss_curve_
    assert resumed.validation_scores_ == whole.validation_scores_


def test_ctrl_c_in_python_goes_on_from_what_was_written(table, tmp_path):
    class Interrupts:
        def on_epoch_end(self, event):
            if event.record.epoch == 3:
                raise KeyboardInterrupt

    def fit(*callbacks):
        options = {**ADAM, "max_iter": 5, "drop": ["kind"]}
        return fit_table(table, "y", callbacks=callbacks, **options)

    checkpoint = Checkpoint(tmp_path, "3steps", resume=True)
    with pytest.warns(GradstepWarning, match="GS108: Interrupted"):
        assert fit(Interrupts(), checkpoint).outcome is Outcome.INTERRUPTED
    resumed = fit(checkpoint)
    assert checkpoint.went_on.startswith("after 2 epochs")
    assert resumed.model.params.tobytes() == fit().model.params.tobytes()


def test_what_differs_has_the_name_that_it_was_given_by(table, tmp_path):
    weighted = table.with_columns(often=pl.lit(2.0))
    given = {**ADAM, "max_iter": 5, "drop": ["kind"]}
    stopped = [Stop(3), Checkpoint(tmp_path, "1steps")]
    assert fit_table(weighted, "y", callbacks=stopped, **given).outcome is Outcome.INTERRUPTED
    again = pickle.loads(pickle.dumps(Checkpoint(tmp_path, resume=True)))
    with pytest.raises(gs.InvalidCheckpoint) as caught:
        fit_table(
            weighted, "y", callbacks=[again], sample_weight="often", random_state=3, **given
        )  # fmt: skip
    assert "random_state was 0, and is 3; " in str(caught.value)
    assert "sample_weight was not given, and is 'often'" in str(caught.value)
