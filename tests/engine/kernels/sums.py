"""Sums over rows by NumPy, for every loss and layout."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import pytest

from gradstep.engine.row_sums import RowSums
from gradstep.objective.classification import LogLoss, Softmax
from gradstep.objective.losses import curvature, is_smooth
from gradstep.objective.regression import Pinball, SquaredError
from gradstep.rows.dataset import Dataset
from tests.contracts.losses import JOINT_LOSSES, LOSSES
from tests.contracts.nouns import NOUNS, classes_of
from tests.engine.cases import csr, dense, matrix
from tests.rows.test_table_rows import coded, one_hot
from tests.rows.test_term_rows import matrix as matrix_of_terms
from tests.rows.test_term_rows import terms
from tests.uncompiled import among, compiled_if

N, P = 150, 5  # more rows than fit into one go
ROWS = {
    "dense": dense(matrix(N, P)),
    "float32": dense(matrix(N, P).astype(np.float32)),
    "csr": csr(matrix(N, P, density=0.5)),
    "table": coded(N),
    "terms": terms(N),
}
MATRICES = {
    "dense": matrix(N, P),
    "float32": matrix(N, P).astype(np.float32).astype(np.float64),
    "csr": matrix(N, P, density=0.5),
    "table": one_hot(ROWS["table"]),
    "terms": matrix_of_terms(ROWS["terms"]),
}
WEIGHT = np.random.default_rng(7).integers(1, 5, N).astype(float)
SOME_ROWS = np.random.default_rng(8).integers(0, N, 140).astype(np.uint32)  # some more than once
ONE_WIDTH = np.array([[1e-4], [1.0]])
WIDTHS = np.array([[0.1, 0.2, 0.8, 3.2], [1.0, 1.0, 0.9, 0.3]])
EXACT = {"rtol": 1e-9, "atol": 1e-12}


@dataclass(frozen=True)
class Sum:
    """A loss at random parameters on rows of a layout, and what NumPy makes of it."""

    loss: Any
    layout: str = "dense"
    weighted: bool = True

    @property
    def joint(self):
        return type(self.loss) in JOINT_LOSSES

    @property
    def k(self):
        return 3 if self.joint else 2

    @property
    def numbers(self):
        return MATRICES[self.layout]

    @cached_property
    def y(self):
        targets = np.arange(3.0) if self.joint else np.array(LOSSES[type(self.loss)].targets)
        return np.random.default_rng(3).choice(targets, (N, 1 if self.joint else 2))

    @property
    def weight(self):
        return WEIGHT if self.weighted else np.ones(N)

    @property
    def data(self):
        return Dataset(ROWS[self.layout], self.y, WEIGHT if self.weighted else None)

    @cached_property
    def params(self):
        size = self.k * (self.numbers.shape[1] + 1)
        return np.random.default_rng(4).normal(size=size) * 0.7

    def scores(self, params):
        k, p = self.k, self.numbers.shape[1]
        return self.numbers @ params[: k * p].reshape(k, p).T + params[k * p :]

    def peer(self, which, z):
        """Return scikit-learn's values or slopes of scores (N, k)."""
        if self.joint:
            return JOINT_LOSSES[type(self.loss)].peer(self.loss, self.k)[which](self.y[:, 0], z)
        both = LOSSES[type(self.loss)].peer(self.loss)
        return np.column_stack(
            [both[which](*np.ascontiguousarray([self.y[:, c], z[:, c]])) for c in range(self.k)]
        )

    def value(self, params):
        each = self.peer(0, self.scores(params)).reshape(N, -1).sum(axis=1)
        return np.average(each, weights=self.weight)

    def gradient(self, params):
        slopes = self.peer(1, self.scores(params)) * self.weight[:, None] / self.weight.sum()
        return np.append((slopes.T @ self.numbers).ravel(), slopes.sum(axis=0))

    def second_derivatives(self, params, widths, pairs):
        """Return those of each row, (N, pairs): by differences of the peer's slopes."""
        z = self.scores(params)
        found = np.full((N, pairs), 0.0 if pairs == self.k else -np.inf)
        for width, share in widths.T:
            column = 0
            for c in range(self.k):
                step = width * (np.arange(self.k) == c)
                rise = share * (self.peer(1, z + step) - self.peer(1, z - step)) / (2.0 * width)
                for d in [c] if pairs == self.k else range(c + 1):
                    found[:, column] = np.maximum(found[:, column], rise[:, d])
                    column += 1
        return found[:, :pairs]

    @property
    def all_pairs(self):
        return 6 if type(self.loss) is Softmax else self.k

    def row_sums(self, data=None):
        return RowSums(self.data if data is None else data, self.k)


def examples():
    """Return the examples of every class of losses, wherever it is defined."""
    cases = {**LOSSES, **JOINT_LOSSES}
    return [loss for cls in classes_of(NOUNS["loss"]) for loss in cases[cls].losses]


JUMPING = [loss for loss in examples() if not (is_smooth(loss) or curvature(loss))]
SOME_LOSSES = [SquaredError(), Pinball(0.25), Softmax()]
# Each layout is compiled with one loss, dense rows with two.
COMPILED = [
    ("dense", SquaredError()), ("dense", LogLoss()), ("csr", Softmax()), ("table", SquaredError()),
]  # fmt: skip


def on_layouts(losses, layouts):
    """Have losses tested on layouts."""
    cases = compiled_if(among(COMPILED), product(layouts, losses))
    return pytest.mark.parametrize("layout, loss", cases, ids=repr)


some_losses = pytest.mark.parametrize(
    "loss", compiled_if(lambda loss: among(COMPILED)(("dense", loss)), SOME_LOSSES), ids=repr
)
every_loss = pytest.mark.parametrize(
    "loss", compiled_if(lambda loss: among(COMPILED)(("dense", loss)), examples()), ids=repr
)
