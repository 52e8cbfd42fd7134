"""The bits of some sixty fits, against those that were recorded before the code was changed."""

from __future__ import annotations

import pytest

from tests.golden.fits import FITS
from tests.golden.record import bits_of, machine, recorded

RECORD = recorded()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(
        machine() != RECORD["machine"],
        reason="bits hold for one build on one kind of processor, and this is another",
    ),
]


def test_every_fit_is_recorded():
    assert set(FITS) == set(RECORD["bits"])


@pytest.mark.parametrize("name", FITS)
def test_has_the_recorded_bits(name):
    assert bits_of(FITS[name]()) == RECORD["bits"][name]
