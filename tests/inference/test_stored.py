"""What a model file tells of a covariance is looked at before it is used."""

from __future__ import annotations

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
