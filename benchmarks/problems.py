"""The problems that are timed: the data, the objective and the cells of the table.

Every problem is drawn so that one epoch goes about 1 - 1/e of the way to the
solution *whatever the batch size*: the learning rate is ``batch * row_rate``, so
the sum of the rates over an epoch does not depend on the batch. All libraries must
therefore end an epoch with nearly the same objective, scikit-learn's SGD (batches of
one row) included, and one that did less work than the others would show.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from scipy import sparse, special

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

NUMBERS = 80_000_000
QUICK_FRACTION = 0.1
DENSE_FEATURES = (1, 10, 100, 1000)
BATCHES = (32, 256, 4096)

CSR_ROWS = 200_000
CSR_FEATURES = 50_000
CSR_PER_ROW = 75
# With entries of deviation 5 a rate that moves the rare columns is still stable for
# the intercept, which every row holds, up to batches of 4096.
CSR_DEVIATION = 5.0
CSR_ALPHA = 1e-4
LOGISTIC_CURVATURE = 0.25
SCORE_DEVIATION = 2.0

DENSE_NOISE = 0.5
DENSE_INTERCEPT = 0.5

Layout: TypeAlias = Literal["dense", "csr"]
Rows: TypeAlias = "NDArray[np.float64] | sparse.csr_array"


@dataclass(frozen=True)
class Cell:
    """One row of the table of results.

    Attributes
    ----------
    layout : {"dense", "csr"}
        How the rows are stored.
    features : int
        Number of columns.
    batch : int
        Rows in a batch.
    """

    layout: Layout
    features: int
    batch: int

    @property
    def name(self) -> str:
        """The name by which ``--cells`` selects it, such as ``dense-100-256``."""
        return f"{self.layout}-{self.features}-{self.batch}"


@dataclass(frozen=True)
class Data:
    """A table of rows and what is minimised on it.

    Attributes
    ----------
    X : ndarray of shape (n, p) or csr_array
        The rows, float64; dense ones in C order, CSR ones with int32 indices.
    y : ndarray of shape (n,)
        Numbers for the squared error, 0.0 and 1.0 for the logistic loss.
    loss : {"squared_error", "log_loss"}
        The loss of a row, on scikit-learn's scale.
    alpha : float
        Strength of the l2 penalty; 0 is no penalty.
    row_rate : float
        Learning rate for a batch of one row.
    """

    X: Rows
    y: NDArray[np.float64]
    loss: Literal["squared_error", "log_loss"]
    alpha: float
    row_rate: float


@dataclass(frozen=True)
class Problem:
    """Data and a batch size: what an adapter is given."""

    data: Data
    batch: int

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.data.X.shape[0]

    @property
    def features(self) -> int:
        """Number of columns."""
        return self.data.X.shape[1]

    @property
    def is_sparse(self) -> bool:
        """Whether the rows are CSR."""
        return sparse.issparse(self.data.X)

    @property
    def rate(self) -> float:
        """Constant learning rate of a step on one batch."""
        return self.batch * self.data.row_rate

    def objective(self, weights: NDArray[np.float64], intercept: float) -> float:
        """Mean loss over all rows plus the penalty.

        Parameters
        ----------
        weights : ndarray of shape (p,)
            The coefficients that a library arrived at.
        intercept : float
            Its intercept.

        Returns
        -------
        float
            The objective, computed here for every library in the same way.
        """
        data = self.data
        score = data.X @ weights
        score += intercept
        if data.loss == "squared_error":
            score -= data.y
            mean = 0.5 * float(score @ score) / len(score)
        else:
            mean = float(np.mean(-special.log_expit((2.0 * data.y - 1.0) * score)))
        return mean + 0.5 * data.alpha * float(weights @ weights)


def dense_data(rows: int, features: int) -> Data:
    """Draw a linear model on standard normal columns.

    Parameters
    ----------
    rows, features : int
        The shape of the table.

    Returns
    -------
    Data
        With the squared error and no penalty.
    """
    rng = np.random.default_rng(features)
    X = rng.standard_normal((rows, features))
    y = X @ np.full(features, features**-0.5)
    y += DENSE_INTERCEPT
    y += DENSE_NOISE * rng.standard_normal(rows)
    return Data(X, y, "squared_error", alpha=0.0, row_rate=1.0 / rows)


def csr_data(rows: int, features: int, per_row: int) -> Data:
    """Draw a logistic model on sparse rows with equally many nonzeros each.

    Parameters
    ----------
    rows, features : int
        The shape of the table.
    per_row : int
        Nonzeros in a row. The features are cut into as many runs, and a row has one
        nonzero in each, anywhere in the run: sorted, distinct, evenly spread.

    Returns
    -------
    Data
        With the logistic loss and an l2 penalty.
    """
    rng = np.random.default_rng(per_row)
    edges = np.linspace(0, features, per_row + 1).astype(np.int32)
    columns = rng.integers(edges[:-1], edges[1:], size=(rows, per_row), dtype=np.int32)
    values = CSR_DEVIATION * rng.standard_normal((rows, per_row))
    indptr = np.arange(0, rows * per_row + 1, per_row, dtype=np.int32)
    X = sparse.csr_array(
        (values.ravel(), columns.ravel(), indptr),
        shape=(rows, features),
    )
    row_norm = CSR_DEVIATION * per_row**0.5
    weights = rng.standard_normal(features) * (SCORE_DEVIATION / row_norm)
    y = (rng.random(rows) < special.expit(X @ weights)).astype(np.float64)

    curvature = LOGISTIC_CURVATURE * row_norm**2
    one_epoch = features / (rows * curvature)
    stable = 0.5 / curvature
    return Data(X, y, "log_loss", CSR_ALPHA, row_rate=min(one_epoch, stable))


def make_data(layout: Layout, features: int, fraction: float) -> Data:
    """Draw the data of all cells with this layout and this number of features.

    Parameters
    ----------
    layout : {"dense", "csr"}
        How the rows are stored.
    features : int
        Number of columns.
    fraction : float
        Share of the full number of rows.

    Returns
    -------
    Data
        The same for the same arguments.
    """
    if layout == "csr":
        return csr_data(round(CSR_ROWS * fraction), features, CSR_PER_ROW)
    return dense_data(round(NUMBERS * fraction / features), features)


def all_cells() -> list[Cell]:
    """List the cells of the table, in its order."""
    shapes: list[tuple[Layout, int]] = [("dense", p) for p in DENSE_FEATURES]
    shapes.append(("csr", CSR_FEATURES))
    return [Cell(layout, p, batch) for layout, p in shapes for batch in BATCHES]


def select_cells(patterns: Sequence[str]) -> list[Cell]:
    """Select cells by name.

    Parameters
    ----------
    patterns : sequence of str
        Names or shell patterns such as ``dense-100-*``; none means every cell.

    Returns
    -------
    list of Cell
        In the table's order.

    Raises
    ------
    ValueError
        If a pattern fits no cell.
    """
    cells = all_cells()
    for pattern in patterns:
        if not any(fnmatch(cell.name, pattern) for cell in cells):
            names = ", ".join(cell.name for cell in cells)
            message = f"no cell is called {pattern!r}; the cells are {names}"
            raise ValueError(message)
    if not patterns:
        return cells
    return [c for c in cells if any(fnmatch(c.name, pattern) for pattern in patterns)]
