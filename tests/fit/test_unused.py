"""What is said of parameters of mini-batches that the steps of a fit do not use."""

import warnings

import numpy as np
import polars as pl
import pytest

import gradstep
from gradstep import SVRG, MiniBatchClassifier, MiniBatchRegressor, Momentum


@pytest.fixture(scope="module")
def line():
    """Rows of two features and a number."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(60, 2))
    return x, x @ [2.0, -1.0] + rng.normal(size=60)


@pytest.fixture(scope="module")
def wide():
    """Rows of so many features and classes that an l1 penalty takes variance-reduced steps."""
    rng = np.random.default_rng(4)
    return rng.normal(size=(150, 400)), rng.integers(0, 3, 150)


def notes(model, x, y):
    """Return the messages of GS113 of a fit."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(x, y)
    found = [str(each.message) for each in caught]
    return [text for text in found if text.startswith("GS113")]


@pytest.mark.parametrize(
    "given, named",
    [
        ({"batch_size": 16}, "batch_size=16 has"),
        ({"shuffle": False}, "shuffle=False has"),
        ({"shuffle": "blocks"}, 'shuffle="blocks" has'),
        ({"last_batch": "drop"}, 'last_batch="drop" has'),
        ({"optimizer": SVRG(share=0.5)}, "the share of SVRG(share=0.5) has"),
        ({"batch_size": np.int64(16)}, "batch_size=16 has"),
        ({"shuffle": lambda n, rng: rng.permutation(n)}, "shuffle=... has"),
        (
            {"batch_size": 16, "last_batch": "mean", "average": True},
            'batch_size=16, last_batch="mean" and average=True have',
        ),
        ({"batch_size": 16, "last_batch": "mean"}, 'batch_size=16 and last_batch="mean" have'),
        ({"batch_size": 16, "optimizer": "exact"}, "batch_size=16 has"),
        ({"average": True}, "average=True has"),
        ({"average": 100}, "average=100 has"),
        ({"precondition": False}, "precondition=False has"),
    ],
)
def test_estimators_warn_of_what_no_step_uses(line, given, named):
    (note,) = notes(MiniBatchRegressor(**given), *line)
    assert note.startswith(f"GS113: {named} no effect")
    assert 'optimizer="sgd"' in note


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"shuffle": True},
        {"shuffle": np.True_},
        {"shuffle": "exact"},
        {"precondition": True},
        {"precondition": "auto", "average": 0},
        {"precondition": False, "average": True, "optimizer": "sgd"},
        {"optimizer": "svrg"},
        {"batch_size": 16, "optimizer": "sgd"},
        {"batch_size": 16, "learning_rate": 0.05, "last_batch": "mean", "shuffle": False},
        {"batch_size": 16, "optimizer": Momentum(), "shuffle": "blocks"},
    ],
)
def test_nothing_is_said_of_what_is_used(line, given):
    assert notes(MiniBatchRegressor(max_iter=30, tol=None, **given), *line) == []


def test_batches_of_variance_reduced_steps_are_used(wide):
    model = MiniBatchClassifier(
        penalty="l1", alpha=0.02, batch_size=8, shuffle=False, optimizer=SVRG(share=0.5),
        max_iter=3, tol=None,
    )  # fmt: skip
    assert notes(model, *wide) == []
    assert "variance-reduced" in model.history_[0].step
    other = notes(model.set_params(last_batch="mean"), *wide)  # of these all are of one size
    assert [note.partition(" no effect")[0] for note in other] == ['GS113: last_batch="mean" has']


def test_a_fit_to_a_table_has_the_note(line):
    x, y = line
    rows = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y})
    (note,) = (n for n in gradstep.fit_table(rows, "y", batch_size=32).notes if n.code == "GS113")
    assert note.text.startswith("batch_size=32 has no effect")
    ignored = gradstep.fit_table(rows, "y", batch_size=32, ignore="GS113").notes
    assert "GS113" not in [note.code for note in ignored]
