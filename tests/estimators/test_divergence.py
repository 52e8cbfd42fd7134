"""A fit that diverges: what is said of it, and what it leaves behind."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from gradstep import Diverged, MiniBatchRegressor
from tests.estimators.bad_input import LABELS, X, Y, classifier, regressor
from tests.uncompiled import uncompiled


class NoWay(NamedTuple):
    """A loss of one's own with a mistake: its slope is not a number."""

    def value(self, y, z):
        return (z - y) ** 2

    def slope(self, y, z):
        return math.nan * (z - y)


class TestDivergence:
    @uncompiled
    @pytest.mark.parametrize("method", ["fit", "partial_fit"])
    def test_that_no_shorter_step_helps_names_the_farthest_column(self, method):
        far = X.copy()
        far[0, 1] = 1e9
        model = MiniBatchRegressor(loss=NoWay(), optimizer="sgd")
        with pytest.raises(Diverged, match=r"Column 1 .* deviations out: clip") as diverged:
            getattr(model, method)(far, Y)
        assert "learning_rate='auto'" not in str(diverged.value)
        assert "loss of your own" in str(diverged.value)
        with pytest.raises(Diverged) as diverged:
            getattr(model, method)(X, Y)
        assert "Column" not in str(diverged.value)

    def message(self, **parameters):
        with pytest.raises(Diverged) as diverged:
            regressor(**{"max_iter": 50, **parameters}).fit(X, Y)
        assert isinstance(diverged.value, (ValueError, ArithmeticError))
        assert f"in epoch {diverged.value.epoch} " in str(diverged.value)
        return str(diverged.value)

    def test_says_what_to_change(self):
        message = self.message(learning_rate=30.0)
        assert message.startswith("Training diverged")
        for remedy in ("StandardScaler", "learning rate", "30.0", "learning_rate='auto'"):
            assert remedy in message

    def test_while_numbers_are_finite_says_how_bad_it_is(self):
        assert re.search(
            "objective is [0-9.e+]+, far above .* best constant",
            self.message(eta0=9.0, learning_rate="constant"),
        )

    def test_past_the_largest_number_says_so(self):
        assert "no longer finite" in self.message(learning_rate=1e300)

    def test_in_a_partial_fit_is_no_less_an_error(self):
        model = regressor(learning_rate=30.0)

        def stream():
            for _ in range(50):
                model.partial_fit(X, Y)

        with pytest.raises(Diverged):
            stream()

    def test_leaves_nothing_fitted(self):
        model = regressor(learning_rate=30.0, max_iter=50)
        with pytest.raises(Diverged):
            model.fit(X, Y)
        with pytest.raises(NotFittedError):
            model.predict(X)

    def test_of_a_second_fit_leaves_the_first_or_nothing(self):
        labels = np.array(["no", "yes"])[LABELS]
        model = classifier().fit(X, labels)
        before = model.predict(X).tolist()
        model.set_params(learning_rate=1e300)
        with pytest.raises(Diverged):
            model.fit(X, np.array(["left", "right"])[LABELS])
        with suppress(NotFittedError):
            assert model.predict(X).tolist() == before
