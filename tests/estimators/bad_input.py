"""A table of bad input: a call, the error that it raises, and all that its message says.

`kind` is the type that must be raised: ours, which scikit-learn's users can catch as ValueError, or
plainly ValueError where scikit-learn's own check speaks.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from gradstep import GradstepError, MiniBatchClassifier, MiniBatchRegressor

X = np.random.default_rng(0).normal(size=(20, 3))
Y = X @ [1.0, -2.0, 0.5] + 0.1
COUNTS = np.arange(20.0)
LABELS = np.arange(20) % 2
ONES = np.ones(20)
NAN, INF = float("nan"), float("inf")


def put(array, at, value):
    """Return a copy with one value replaced (or several)."""
    changed = np.array(array, dtype=float)
    changed[at] = value
    return changed


def regressor(**parameters):
    return MiniBatchRegressor(**{"max_iter": 2, "tol": None, **parameters})


def classifier(**parameters):
    return MiniBatchClassifier(**{"max_iter": 2, "tol": None, **parameters})


def frame(values):
    return pd.DataFrame(values, columns=["age", "height", "weight"])


class Case(NamedTuple):
    """A call, the type of its error, and all that the message must say."""

    id: str
    call: Any
    kind: type
    says: list[str]


def cases(table):
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in table])


def check(case):
    with pytest.raises(case.kind) as caught:
        case.call()
    error, message = caught.value, str(caught.value)
    assert isinstance(error, ValueError)
    for part in case.says:
        assert re.search(part, message, re.DOTALL), f"{part!r} is not in: {message}"
    if isinstance(error, GradstepError):
        assert "\n" not in message
        assert message.endswith("."), message
        assert "np." not in message, "numbers and labels are shown as the user wrote them"
