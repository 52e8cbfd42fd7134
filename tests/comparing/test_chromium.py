"""The page of a comparison in a browser: nothing is cut, labels do not meet, none is too wide."""

from __future__ import annotations

import pytest

import gradstep
from tests.comparing.test_compare import table
from tests.reporting.test_chromium import BROWSER, GOOD, measured

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium"),
]
MANY = {
    "batch_size": [1, 4, 16, 64, 256, "all"],
    "optimizer": ["sgd", "momentum"],
    "learning_rate": [0.05, 3.0],
}


@pytest.mark.parametrize("width", [500, 1280])
@pytest.mark.parametrize("asked", [{}, {"batch_size": [1, 16, 64, 1000]}, MANY])
def test_the_notebook_fits_its_window(tmp_path, width, asked):
    page = gradstep.compare(**asked, max_iter=10).report().html
    assert measured(page, tmp_path, width) == GOOD


@pytest.mark.parametrize("width", [500, 1280])
@pytest.mark.parametrize("target", ["fare", "paid"])
def test_a_table_fits_its_window(tmp_path, width, target):
    found = gradstep.compare(table(), target, only=["km", "colour"], max_iter=5)
    assert measured(found.report().html, tmp_path, width) == GOOD
