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

# What is seen of the moments 1 to 3, and of whole paths: at first, and at moment 2.
SEEN = """<script>
const seen = () => [".k1 .head", ".k2 .head", ".k3 .head", ".drawn"].map(
  each => getComputedStyle(document.querySelector("svg " + each)).opacity);
const shown = () => getComputedStyle(document.querySelector(".trails")).display;
const first = [shown(), seen()[3]];
document.getElementById("paths-2").click();
document.title = [...first, shown(), ...seen()].join(" ");
</script>"""


def test_a_step_is_shown_alone(tmp_path):
    page = gradstep.compare(batch_size=[16, 64], max_iter=3).report().html
    assert measured(page, tmp_path, 500, SEEN) == "none 1 inline 0 1 0 0.25"


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
