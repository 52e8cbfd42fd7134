"""The notebook that gradstep grew out of: its data, its start and its order of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Notebook"]

_SEED = 42
_ROWS = 1000


class Notebook:
    """The notebook's data, start and order of rows, replayed from its seed.

    Attributes
    ----------
    X : ndarray of shape (1000, 1)
        Uniform numbers.
    y : ndarray of shape (1000,)
        3 x + 2 with normal noise of deviation 0.1.
    coef_init : ndarray of shape (1,)
        The weight to start from.
    intercept_init : ndarray of shape (1,)
        The intercept to start from.
    """

    learning_rate = 0.05
    batch_size = 64
    epochs = 50

    def __init__(self) -> None:
        generator = np.random.RandomState(_SEED)
        self.X = generator.rand(_ROWS, 1)
        self.y = (3 * self.X + 2 + generator.randn(_ROWS, 1) * 0.1)[:, 0]
        self.coef_init = generator.randn(1, 1)[0]
        self.intercept_init = np.zeros(1)
        self._after_start = generator.get_state(legacy=False)

    def order(self, epoch: int, n: int) -> NDArray[np.int64]:
        """Return the order of rows of an epoch: each epoch shuffles what the last one left."""
        generator = np.random.RandomState()
        generator.set_state(self._after_start)
        order = np.arange(n)
        for _ in range(epoch + 1):
            shuffled = np.arange(n)
            generator.shuffle(shuffled)
            order = order[shuffled]
        return order
