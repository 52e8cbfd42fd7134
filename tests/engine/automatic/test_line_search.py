"""How far a step goes, and where the next one begins."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp

from gradstep import MiniBatchRegressor
from gradstep.engine.automatic.line_search import backtrack


def along(bend, tried):
    """Return the objective along a step of slope -1 that begins at 0: -t + bend·t²/2."""

    def evaluate(t):
        tried.append(t)
        return SimpleNamespace(before=-t + bend * t * t / 2)

    return evaluate


@pytest.mark.parametrize(
    "bend, first, shares",
    [
        (1.0, 1.0, [1.0]),
        (8.0, 1.0, [1.0, 1 / 8]),  # the least of the parabola
        (8.0, 0.2, [0.2]),
        (1e3, 1.0, [1.0, 0.1, 0.01, 0.001]),  # no share is less than a tenth of the last
        (2.5, 1.0, [1.0, 0.4]),
    ],
)
def test_a_step_is_shortened_to_the_least_of_a_parabola(bend, first, shares):
    tried = []
    trial, t = backtrack(along(bend, tried), 0.0, -1.0, 0.0, smooth=True, first=first)
    np.testing.assert_allclose(tried, shares)
    assert t == tried[-1]
    assert trial.before < 0.0


def test_only_the_whole_step_is_tried_where_that_is_asked():
    tried = []
    assert backtrack(along(8.0, tried), 0.0, -1.0, 0.0, smooth=True, whole=True)[0] is None
    assert tried == [1.0]


def test_after_a_shortened_step_the_next_is_not_tried_whole():
    """It is three times as long, until steps are whole again: a pass each."""
    X = sp.random(2000, 3000, 0.01, format="csr", random_state=0)
    X.data[:] = 1.0
    rng = np.random.default_rng(0)
    mean = np.exp(np.clip(X @ rng.normal(size=3000) / 3, -4, 4))
    model = MiniBatchRegressor(loss="poisson", alpha=1e-4, max_iter=6, tol=None)
    history = model.fit(X, rng.poisson(mean).astype(float)).history_
    assert "quasi-Newton" in history[0].step
    assert [record.learning_rate for record in history[:4]] == pytest.approx([0.1, 0.3, 0.9, 1.0])
    assert np.diff([record.passes for record in history[:4]]) == pytest.approx(1.0)
