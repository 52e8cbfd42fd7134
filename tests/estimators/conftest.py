"""Small tables that the tests of this folder share."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest


class Rows(NamedTuple):
    """Features and targets."""

    X: Any
    y: Any


def _features() -> Any:
    return np.random.default_rng(0).normal(size=(60, 3))


@pytest.fixture
def numbers():
    """60 rows of a nearly exact linear relation."""
    X = _features()
    noise = 0.01 * np.random.default_rng(1).normal(size=60)
    return Rows(X, X @ [1.0, -2.0, 0.5] + 3.0 + noise)


@pytest.fixture
def two_numbers(numbers):
    """The same with two targets a row."""
    return Rows(numbers.X, np.column_stack([numbers.y, 1.0 - 2.0 * numbers.X[:, 1]]))


@pytest.fixture
def two_classes():
    """60 rows of two classes, 0 and 1, that a line nearly separates."""
    X = _features()
    noise = 0.2 * np.random.default_rng(2).normal(size=60)
    return Rows(X, (X @ [1.0, -2.0, 0.5] + noise > 0.0).astype(int))


@pytest.fixture
def three_classes():
    """60 rows of the classes 0, 1 and 2."""
    X = _features()
    scores = X @ np.array([[2.0, -1.0, -1.0], [0.0, 2.0, -2.0], [0.0, 0.0, 1.0]])
    return Rows(X, scores.argmax(axis=1))
