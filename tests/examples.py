"""How many examples a test of Hypothesis tries."""

from __future__ import annotations

from hypothesis import settings

USUAL = 100  # of the profile that is loaded unless another is asked for (conftest.py)


def examples(number):
    """Return settings for so many examples, or as many times more as the profile in force has."""
    return settings(max_examples=number * settings.default.max_examples // USUAL)
