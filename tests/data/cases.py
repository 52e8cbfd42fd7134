"""Small tables, and what a prepared one holds, for the tests of the data side."""

from __future__ import annotations

import numpy as np
import polars as pl

from gradstep.data.preparing import second_pass
from gradstep.data.sources import table as tables


def numbered(n, seed=0, *, gaps=True):
    """Return a table of numbers, categories and gaps, whose target is the number of the row."""
    rng = np.random.default_rng(seed)
    x = rng.normal(5.0, 3.0, n)
    if gaps:
        x[rng.random(n) < 0.1] = np.nan
    return pl.DataFrame(
        {
            "x": pl.Series(x).fill_nan(None),
            "z": np.arange(n) * 10.0,
            "colour": rng.choice(["red", "green", "blue"], n),
            "w": rng.integers(0, 4, n) + 0.5,
            "y": np.arange(float(n)),
        }
    )


def arrays(data):
    """Return all arrays of a dataset."""
    rows = data.rows
    found = {"values": rows.values, "y": data.y}
    if hasattr(rows, "codes"):
        found["codes"] = rows.codes
    if data.sample_weight is not None:
        found["weight"] = data.sample_weight
    return found


def bits(prepared):
    """Return all that a prepared table holds, as bytes."""
    parts = {"train": prepared.train, "validation": prepared.validation}
    return {
        (part, name): (array.dtype, array.shape, np.ascontiguousarray(array).tobytes())
        for part, data in parts.items()
        if data is not None
        for name, array in arrays(data).items()
    }


def in_tiny_pieces(monkeypatch):
    """Make chunks of 64 rows and buckets of a few hundred bytes."""
    monkeypatch.setattr(tables, "_MOST_CHUNK_ROWS", 64)
    monkeypatch.setattr(second_pass, "_BUCKET_BYTES", 500)


def leftovers(path):
    return sorted(p.name for p in path.iterdir())
