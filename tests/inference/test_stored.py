"""What a model file tells of a covariance is looked at before it is used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradstep.inference.stored import from_stored, stored
from tests.reporting.models import model_of


@pytest.mark.parametrize(
    "change",
    [{"undetermined": {}}, {"undetermined": ""}, {"clusters": {}}, {"undetermined": [10**9]}],
    ids=str,
)
def test_what_is_no_list_of_numbers_is_refused(change):
    model = model_of("number")
    content, numbers = stored(model.covariance)
    params = model.covariance.params
    assert from_stored(content, numbers, params, joint=False).rank == model.covariance.rank
    with pytest.raises(ValueError, match="not what gradstep writes"):
        from_stored({**content, **change}, numbers, params, joint=False)


def test_directions_that_no_row_tells_of():
    covariance = model_of("three").covariance
    k, q = covariance.params.shape
    own = replace(covariance, directions=np.arange(2.0 * k * q).reshape(2, k, q))
    content, numbers = stored(own)
    again = from_stored(content, numbers, own.params, joint=True)
    np.testing.assert_array_equal(again.directions, own.directions)
    np.testing.assert_array_equal(again.unknown(), own.directions.reshape(-1, q))
    for wrong in (1, 3, -1, 10**9, 2.0, True, "2"):
        with pytest.raises(ValueError, match="covariance"):
            from_stored({**content, "directions": wrong}, numbers, own.params, joint=True)
    # of a file of before they were kept, a row must have nothing of what is undetermined
    before = replace(covariance, undetermined=np.arange(k * q).reshape(k, q) == q + 1)
    again = from_stored(*stored(before), before.params, joint=True)
    assert again.unknown().tolist() == [[float(j == 1) for j in range(q)]]
