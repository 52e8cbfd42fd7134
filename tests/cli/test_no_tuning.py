"""The command line's defaults: the exact solution, the penalty's scale, what is noted."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import Ridge

from gradstep import load

RNG = np.random.default_rng(17)
X = (RNG.normal(size=(500, 3)) + np.array([0.0, 1e3, -20.0])) * np.array([1e-5, 1.0, 1e4])
Z = ((X - X.mean(axis=0)) / X.std(axis=0)) @ [1.0, -2.0, 0.5]
Y = Z + RNG.normal(size=500)


@pytest.fixture(name="train")
def trainer(told, tmp_path):
    """Return what trains on a table: what was told, and its predictions there."""
    path, model = tmp_path / "table.csv", tmp_path / "model.safetensors"

    def run(target, *options):
        frame = pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "y": target})
        frame.write_csv(path)
        found = told(
            "train", path, "--target", "y", "--no-cache", "--validation", "0",
            "--model", model, *options,
        )  # fmt: skip
        return found, load(model).predict(path)

    return run


def test_exact_is_the_solution(train):
    told, predicted = train(Y, "--exact", "--alpha", "0.1")
    assert told["epochs"] == 1
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    theirs = Ridge(500 * 0.1, solver="cholesky").fit(scaled, Y)
    np.testing.assert_allclose(np.asarray(predicted).ravel(), theirs.predict(scaled), atol=1e-8)


def test_the_penalty_is_on_the_columns_as_they_are_if_that_is_asked(train):
    _, predicted = train(Y, "--exact", "--alpha", "0.1", "--penalty-scale", "unit")
    theirs = Ridge(500 * 0.1, solver="svd").fit(X - X.mean(axis=0), Y)
    expected = theirs.predict(X - X.mean(axis=0))
    np.testing.assert_allclose(np.asarray(predicted).ravel(), expected, atol=1e-6)


def test_classes_that_can_be_separated_are_noted(train):
    told, _ = train(np.where(Z > 0.0, "yes", "no"), "--penalty", "none")
    assert any("can be separated" in note for note in told["notes"])
