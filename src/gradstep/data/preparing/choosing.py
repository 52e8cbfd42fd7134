"""A sample of the training rows, for whoever chooses terms on it (`gradstep.fit.choose_terms`)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from gradstep.data.features.columns import NumberColumn
from gradstep.data.features.encoding import Encoded
from gradstep.data.features.terms.options import KNOTS
from gradstep.data.preparing.placing import Encoder
from gradstep.rows.dataset import Dataset
from gradstep.rows.kernels.shuffling import chosen
from gradstep.rows.layouts import TermRows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.data.features.encoding import Encoding
    from gradstep.data.preparing.first_pass import FirstPass
    from gradstep.data.preparing.hold_out import Rule
    from gradstep.data.roles import Target

__all__ = ["Choose", "Chosen", "Sample", "sample_of"]

_SAMPLED = 9  # a path of keys, apart from those of orders and of rows held out
_ROWS = 30_000
_FEWEST_VALUES = 5  # of a number that may become a curve
_FEW_ROWS, _FEW_KNOTS = 2_000, 5


class Chosen(NamedTuple):
    """The terms that were chosen, besides those that were asked for, and why."""

    splines: tuple[tuple[str, int], ...]
    crosses: tuple[tuple[str, str], ...]
    why: str


Choose = Callable[["Sample"], Chosen]


@dataclass(frozen=True)
class Sample:
    """Training rows at random, and what they become with some terms or others.

    Attributes
    ----------
    first_pass : FirstPass
        What is known of the table.
    frame : polars.DataFrame
        The rows, in random order.
    rows : ndarray
        Their numbers in the table.
    """

    first_pass: FirstPass
    frame: pl.DataFrame
    rows: NDArray[np.int64]

    @property
    def n(self) -> int:
        """How many rows."""
        return self.frame.height

    @property
    def target(self) -> Target:
        """What is predicted."""
        return self.first_pass.target

    @cached_property
    def curves(self) -> list[tuple[str, int]]:
        """The numbers that may become curves, with their knots."""
        asked = {name for name, _ in self.first_pass.options.polynomials}
        knots = KNOTS if self.n >= _FEW_ROWS else _FEW_KNOTS
        return [
            (c.source, knots)
            for c in self.first_pass.encoding.columns
            if type(c) is NumberColumn
            and c.source not in asked
            and len(self.first_pass.profiles[c.source].counts.values()) >= _FEWEST_VALUES
        ]

    def encoded(
        self, splines: tuple[tuple[str, int], ...], crosses: tuple[tuple[str, str], ...]
    ) -> tuple[Encoding, Dataset]:
        """Return the encoding with these terms, besides those asked for, and the rows."""
        first_pass = self.first_pass
        encoding = first_pass.encoding_with(splines, crosses)
        encoder = Encoder(encoding, first_pass.target, first_pass.options)
        arrays = encoder(self.frame, self.rows, Counter())
        values, codes, places, amounts = (arrays[name] for name in Encoded._fields)
        rows = TermRows(values, codes, places, amounts, encoding.n_features)
        return encoding, Dataset(rows, arrays["y"], arrays.get("weight"))


def sample_of(first_pass: FirstPass, rule: Rule) -> Sample:
    """Return training rows at random, by their positions; none of those that are held out."""
    wanted = _ROWS / math.sqrt(first_pass.target.n_outputs)  # what a row costs grows with them
    share = min(1.0, wanted / first_pass.n_kept)
    frames, numbers = [], []
    for (frame, first), kept in zip(first_pass.once_more(), first_pass.kept, strict=True):
        drawn = chosen(first_pass.options.seed, first, frame.height, share, _SAMPLED)
        drawn &= ~rule.flags(frame, first)
        if kept is not None:
            drawn &= kept
        frames.append(frame.filter(pl.Series(drawn)))
        numbers.append(np.flatnonzero(drawn) + first)
    rows = np.concatenate(numbers)
    order = np.random.default_rng([first_pass.options.seed, _SAMPLED]).permutation(rows.size)
    return Sample(first_pass, pl.concat(frames)[order], rows[order])
