"""Progress: what a person reads at a glance."""

from __future__ import annotations

import io

import pytest

from gradstep.progress import Bar, in_short


@pytest.mark.parametrize(
    "number, text", [(5.0, "5"), (1234.0, "1.2 k"), (3.4e6, "3.4 M"), (2e9, "2.0 G")]
)
def test_numbers_are_short(number, text):
    assert in_short(number) == text


@pytest.mark.parametrize("lasting", [False, True])
def test_a_bar_shows_what_is_done(lasting):
    stream = io.StringIO()
    stream.isatty = lambda: True
    bar = Bar(stream, lasting=lasting)
    bar.show("epoch 3/7", "loss 0.5", 3, 7)
    bar.close()
    assert "loss 0.5" in stream.getvalue()
