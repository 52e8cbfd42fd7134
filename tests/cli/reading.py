"""A table as people write it, and what is trained on once it is read."""

from __future__ import annotations

import numpy as np
import polars as pl

import gradstep as gs

N = 120
RNG = np.random.default_rng(0)
KM = RNG.gamma(2.0, 900.0, N).round(2)
FARE = (3.0 + 0.002 * KM + RNG.normal(scale=0.1, size=N)).round(2)
COLOUR = RNG.choice(["rot", "grün"], N)
PLAIN = pl.DataFrame({"km": KM, "colour": COLOUR, "fare": FARE})


def marked(number, decimal=",", thousands="."):
    """Return a number as people write it."""
    text = f"{number:,.2f}"
    return text.replace(",", "\0").replace(".", decimal).replace("\0", thousands)


def lines(km, fare, separator=","):
    head = separator.join(["km", "colour", "fare"])
    rows = zip(km, COLOUR, fare, strict=True)
    return "\n".join([head, *(separator.join(map(str, row)) for row in rows)]) + "\n"


GERMAN = lines([marked(x) for x in KM], [marked(y) for y in FARE], ";")


def bits(prepared):
    """Return what is trained on."""
    rows = prepared.train.rows
    return rows.values.tobytes(), rows.codes.tobytes(), prepared.train.y.tobytes()


EXPECTED = bits(gs.prepare(PLAIN, "fare"))
