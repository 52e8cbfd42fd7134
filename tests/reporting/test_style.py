"""Contrast of letters and lines, in both schemes (WCAG 2.2, success criterion 1.4.3)."""

from __future__ import annotations

import re

import pytest

from gradstep.reporting.plot import SERIES
from gradstep.reporting.style import DARK, LIGHT, css


def luminance(colour):
    """Return the relative luminance of #rrggbb."""
    each = [int(colour[i : i + 2], 16) / 255.0 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in each]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """Return the contrast of two colours."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_of_black_on_white():
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_letters_and_lines_stand_out(scheme):
    behind = [scheme["page"], scheme["card"]]
    for name in ("ink", "quiet", "link", *(f"s{i}" for i in range(SERIES))):
        for under in behind:
            assert contrast(scheme[name], under) >= 4.5, (name, under)


def test_every_variable_is_known_and_every_class_has_a_colour():
    sheet = css()
    used = set(re.findall(r"var\(--([a-z0-9]+)\)", sheet)) - {"own"}
    assert used <= set(LIGHT) == set(DARK)
    assert all(f".s{i}{{--own" in sheet for i in range(SERIES))
    assert sheet.count("{") == sheet.count("}")
    assert "prefers-color-scheme:dark" in sheet
    assert "@media print" in sheet
    assert "url(" not in sheet
