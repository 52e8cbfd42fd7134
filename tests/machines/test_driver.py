"""The driver describes the work: it reads a bounded sample of the rows, and none besides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradstep import fit_table, prepare
from gradstep.model import training_rows
from gradstep.rows import dataset
from gradstep.rows.layouts import DenseRows
from tests.machines.test_same_bits import table

SAMPLE = 64


@pytest.fixture(autouse=True)
def _small_samples(monkeypatch, _many_shards):
    monkeypatch.setattr(dataset, "_SAMPLE_ROWS", SAMPLE)
    monkeypatch.setattr(training_rows, "_MOST_ROWS", SAMPLE)
    monkeypatch.setattr(training_rows, "_FEWEST_ROWS", SAMPLE)


def blind(data, cuts):
    """Return rows that a driver can see some of, from each cut on: all others are NaN for it."""

    def hidden(array):
        copy = np.full(array.shape, np.nan)
        for at in cuts:
            copy[at : at + SAMPLE] = array[at : at + SAMPLE]
        return copy

    return replace(data, rows=DenseRows(hidden(data.rows.values)), y=hidden(data.y))


@pytest.mark.parametrize("target", ["two", pytest.param("number", marks=pytest.mark.slow)])
def test_reads_no_more_than_a_sample(target, client, tmp_path):
    prepared = prepare(table(target), "y", out=tmp_path / "t", validation=0.2)
    how = {"alpha": 1e-3, "cv": 3}
    here = fit_table(prepared, **how)
    n = prepared.train.n
    train = blind(prepared.train, [0, n // 3, n * 2 // 3])  # where the parts of cv begin
    unseen = replace(prepared, train=train, validation=blind(prepared.validation, []))
    there = fit_table(unseen, client=client, **how)
    assert there.model.params.tobytes() == here.model.params.tobytes()
    assert there.model.provenance == here.model.provenance
    assert (there.validation, there.baseline) == (here.validation, here.baseline)
    assert len(here.folds) == 3
    assert there.folds == here.folds
    assert there.model.covariance.matrix.tobytes() == here.model.covariance.matrix.tobytes()
