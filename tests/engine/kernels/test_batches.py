"""Which code a kernel gets for components of a user's own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from gradstep import InvalidComponent, OneVsRest
from gradstep.engine.evaluation import mean_loss
from gradstep.rows.dataset import Dataset
from tests.engine.cases import dense

DATA = Dataset(dense(np.ones((4, 1))), np.array([[0.0], [1.0], [2.0], [1.0]]))


def loss(constant):
    """Return a loss that is a constant: of a class that has the name of all the others."""

    class Twin(NamedTuple):
        def value(self, y, z):
            return constant + 0.0 * (y - z)

        def slope(self, y, z):
            return 0.0 * (y - z)

    return Twin()


def test_classes_of_one_name_are_not_mixed_up():
    """As those of a notebook's cell that is run again."""
    first, second = loss(1.0), loss(2.0)
    assert [mean_loss(own, DATA, np.zeros(2), 1) for own in (first, second, first)] == [
        1.0,
        2.0,
        1.0,
    ]


def test_nor_are_those_inside_of_another_component():
    inner = [OneVsRest(loss(1.0)), OneVsRest(loss(2.0))]
    assert [mean_loss(own, DATA, np.zeros(6), 3) for own in inner] == [3.0, 6.0]


def test_what_cannot_be_compiled_is_told():
    class Asking(NamedTuple):
        def value(self, y, z):
            return float(input(y - z))

        def slope(self, y, z):
            return 0.0 * (y - z)

    with pytest.raises(InvalidComponent, match="compiled methods of Asking cannot be compiled"):
        mean_loss(Asking(), DATA, np.zeros(2), 1)
