"""Terms beside the columns that they are made of: sizes, names, rows in numbers, own units.

The features of an encoding are its numbers (powers and products the last of them), what says that
one was missing, then the features of codes (pairs of levels the last), and those with an amount:
curves, and slopes by level.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.data.features.columns import HashColumn, LevelColumn, NumberColumn
from gradstep.data.features.terms.crosses import (
    MOST_PAIRS,
    Cross,
    PairColumn,
    PowerColumn,
    ProductColumn,
    SlopesColumn,
    VaryingColumn,
)
from gradstep.data.features.terms.spline import SplineColumn
from gradstep.data.features.text import TextColumn
from gradstep.data.kernels.columns import standardise

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gradstep.data.features.encoding import Encoding

__all__ = ["Terms"]


class Terms:
    """The terms of an encoding, each with the columns that it is made of.

    Parameters
    ----------
    encoding : Encoding
        All columns.

    Raises
    ------
    KeyError
        If a term is made of a column that there is not.
    """

    def __init__(self, encoding: Encoding) -> None:
        self._of = encoding
        columns = encoding.columns
        self._numbers = {
            c.source: j for j, c in enumerate(encoding.numbers) if isinstance(c, NumberColumn)
        }
        self._curves = {c.source: c for c in columns if isinstance(c, SplineColumn)}
        self._coded = {
            c.source: q
            for q, c in enumerate(encoding.coded)
            if isinstance(c, HashColumn) or (isinstance(c, LevelColumn) and not c.part)
        }
        self._powers = {
            (c.source, c.power): j
            for j, c in enumerate(encoding.numbers)
            if isinstance(c, PowerColumn)
        }
        self._powers |= {(source, 1): j for source, j in self._numbers.items()}
        for c in columns:
            if isinstance(c, SlopesColumn):
                self._sides(c)
            elif isinstance(c, VaryingColumn):
                self._curve_and_number(c)
            elif isinstance(c, PairColumn):
                self._categories(c)
            elif isinstance(c, ProductColumn):
                self._number(c.source)
                self._number(c.other)
            elif isinstance(c, PowerColumn):
                self._powers[c.source, c.power - 1]  # and so all below

    # ------------------------------------------------------------------ what they are made of

    def _number(self, source: str) -> NumberColumn:
        """Return the number of a column; that of a curve is the number that it is one of."""
        if source in self._curves:
            return self._curves[source].number
        found: NumberColumn = self._of.numbers[self._numbers[source]]
        return found

    def _categories(self, cross: PairColumn) -> tuple[int, int]:
        return self._coded[cross.source], self._coded[cross.other]

    def _sides(self, cross: SlopesColumn) -> tuple[int, str]:
        """Return which of the codes is the category's, and the column that is the number."""
        one, two = cross.source, cross.other
        category, number = (one, two) if one in self._coded else (two, one)
        self._number(number)
        return self._coded[category], number

    def _curve_and_number(self, cross: VaryingColumn) -> tuple[SplineColumn, str]:
        one, two = cross.source, cross.other
        curve, number = (one, two) if one in self._curves else (two, one)
        self._numbers[number]  # which is no curve
        return self._curves[curve], number

    def _category(self, q: int) -> LevelColumn | HashColumn:
        found = self._of.coded[q]
        assert not isinstance(found, PairColumn)  # noqa: S101
        return found

    def _width(self, number: str) -> int:
        """Return how many features a number is, at a level: those of its curve, if it is one."""
        return self._curves[number].size if number in self._curves else 1

    @property
    def _starts(self) -> list[int]:
        """The first feature of each column of amounts."""
        return self._of.starts[len(self._of.coded) : -1]

    def _start_of(self, curve: SplineColumn) -> int:
        return self._starts[self._of.placed.index(curve)]

    # ------------------------------------------------------------------ sizes and names

    def size(self, column: Any) -> int:
        """Return how many features a column of codes, or of amounts, has."""
        if isinstance(column, PairColumn):
            return min(math.prod(self._sizes(column)), MOST_PAIRS)
        if isinstance(column, SlopesColumn):
            category, number = self._sides(column)
            return self._category(category).size * self._width(number)
        return int(
            self._curve_and_number(column)[0].size
            if isinstance(column, VaryingColumn)
            else column.size
        )

    def _sizes(self, cross: PairColumn) -> tuple[int, int]:
        one, two = self._categories(cross)
        return self._category(one).size, self._category(two).size

    def n_places(self, column: SplineColumn | TextColumn | SlopesColumn | VaryingColumn) -> int:
        """Return how many features with an amount a row has of a column, at most."""
        if isinstance(column, TextColumn):
            return column.width
        if not isinstance(column, SlopesColumn):
            return SplineColumn.n_places
        number = self._sides(column)[1]
        return self._curves[number].n_places if number in self._curves else 1

    def name(self, column: Any, at: int = 0) -> str:
        """Return what a feature of a column is called."""
        shared = isinstance(column, PairColumn) and math.prod(self._sizes(column)) > MOST_PAIRS
        if shared or isinstance(column, HashColumn):
            return f"{column.name}#{at}"
        if isinstance(column, Cross):
            return ":".join(self._names_of_sides(column, at))
        name: str = column.names[at] if hasattr(column, "names") else column.name
        return name

    def _names_of_sides(self, cross: Cross, at: int) -> list[str]:
        """Return what a feature of a cross is on either side."""
        if isinstance(cross, ProductColumn):
            return [self._number(cross.source).name, self._number(cross.other).name]
        if isinstance(cross, PairColumn):
            each = zip(self._categories(cross), divmod(at, self._sizes(cross)[1]), strict=True)
            return [self.name(self._of.coded[q], level) for q, level in each]
        if isinstance(cross, VaryingColumn):
            varying, number = self._curve_and_number(cross)
            names = [varying.names[at], self._number(number).name]
        else:
            assert isinstance(cross, SlopesColumn)  # noqa: S101
            q, number = self._sides(cross)
            level, inside = divmod(at, self._width(number))
            curve = self._curves.get(number)
            of_number = self._number(number).name if curve is None else curve.names[inside]
            names = [self.name(self._of.coded[q], level), of_number]
        return names if cross.other == number else names[::-1]

    def in_words(self, cross: Cross) -> str:
        """Return what a cross has for people: ``8 slopes``, ``56 pairs of levels``."""
        if isinstance(cross, ProductColumn):
            return "product"
        if isinstance(cross, PairColumn):
            return f"{self.size(cross):,} pairs of levels"
        if isinstance(cross, VaryingColumn):
            return "a weight that is a curve"
        assert isinstance(cross, SlopesColumn)  # noqa: S101
        q, number = self._sides(cross)
        return f"{self._category(q).size:,} {'curves' if number in self._curves else 'slopes'}"

    # ------------------------------------------------------------------ rows in numbers

    def _z(
        self, source: str, values: NDArray[Any], curves: dict[str, NDArray[Any]]
    ) -> NDArray[np.float64]:
        """Return the numbers of a column, scaled; 0 where missing."""
        if source not in self._curves:
            return values[:, self._numbers[source]].astype(np.float64)
        of = self._curves[source]
        return np.nan_to_num((curves[source] - of.mean) / of.scale, nan=0.0)

    def fill_numbers(self, values: NDArray[Any], curves: dict[str, NDArray[Any]]) -> None:
        """Write powers and products of numbers that are there already."""
        for j, c in enumerate(self._of.numbers):
            if isinstance(c, PowerColumn):
                x = self._z(c.source, values, curves) ** c.power
            elif isinstance(c, ProductColumn):
                x = self._z(c.source, values, curves) * self._z(c.other, values, curves)
            else:
                continue
            standardise([(x, c.mean, c.scale)], values, first=j)

    def fill_codes(self, codes: NDArray[np.int32]) -> None:
        """Write pairs of levels that are there already."""
        for q, c in enumerate(self._of.coded):
            if isinstance(c, PairColumn):
                one, two = (self._level(codes, at) for at in self._categories(c))
                pair = c.codes(one, two, self._sizes(c))
                codes[:, q] = np.where(pair < 0, -1, pair + self._of.starts[q])

    def _level(self, codes: NDArray[np.int32], q: int) -> NDArray[np.int32]:
        level: NDArray[np.int32] = np.maximum(codes[:, q] - np.int32(self._of.starts[q]), -1)
        return level

    def fill_places(
        self,
        values: NDArray[Any],
        codes: NDArray[np.int32],
        curves: dict[str, NDArray[Any]],
        words: Mapping[str, tuple[NDArray[np.int32], NDArray[np.float64]]],
        places: NDArray[np.int32],
        amounts: NDArray[Any],
    ) -> None:
        """Write the features that have an amount.

        Parameters
        ----------
        values, codes : ndarray
            The numbers and the codes of all columns.
        curves : dict
            By column, the numbers that became curves, in their own units.
        words : mapping
            By column of text, the features of each row, and their amounts; else rows have none.
        places, amounts : ndarray
            What is written.
        """
        at = 0
        bases = {name: self._curves[name].amounts(x) for name, x in curves.items()}
        for start, c in zip(self._starts, self._of.placed, strict=True):
            width = self.n_places(c)
            span = slice(at, at + width)
            at += width
            if isinstance(c, TextColumn):
                of_row, amounts[:, span] = words.get(c.source, (np.array([[-1]]), 0.0))
                places[:, span] = np.where(of_row < 0, -1, of_row + np.int32(start))
                continue
            if isinstance(c, SplineColumn):
                first, amounts[:, span] = bases[c.source]
                places[:, span] = start + first[:, None] + np.arange(width, dtype=np.int32)
                continue
            if isinstance(c, VaryingColumn):
                curve, number = self._curve_and_number(c)
                first, amounts_of_curve = bases[curve.source]
                amounts[:, span] = amounts_of_curve * self._z(number, values, curves)[:, None]
                places[:, span] = start + first[:, None] + np.arange(width, dtype=np.int32)
                continue
            q, number = self._sides(c)
            level = self._level(codes, q)[:, None]
            if number in bases:
                first, amounts[:, span] = bases[number]
                inside = first[:, None] + np.arange(width, dtype=np.int32)
            else:
                amounts[:, at - 1] = self._z(number, values, curves)
                inside = np.zeros((len(values), 1), np.int32)
            there = start + level * np.int32(self._width(number)) + inside
            places[:, span] = np.where(level < 0, -1, there)

    # ------------------------------------------------------------------ own units

    def to_units(self, coef: NDArray[np.float64], intercept: NDArray[np.float64]) -> None:
        """Turn coefficients of terms of scaled numbers into those of numbers in their own units.

        With u for a number and z = (u - m) / s, z^k is a polynomial of u, and the product of two
        such is that of their numbers, less what is linear in each. A line is a curve, too, whose
        coefficients are the centres.

        Parameters
        ----------
        coef : ndarray of shape (k, p)
            Those of numbers alone are in their own units already. Written to.
        intercept : ndarray of shape (k,)
            Written to.
        """
        for j, c in enumerate(self._of.numbers):
            if isinstance(c, PowerColumn):
                u = self._number(c.source)
                coef[:, j] /= u.scale**c.power
                for power in range(c.power):
                    part = math.comb(c.power, power) * (-u.mean) ** (c.power - power) * coef[:, j]
                    if power == 0:
                        intercept += part
                    else:
                        coef[:, self._powers[c.source, power]] += part
            elif isinstance(c, ProductColumn):
                one, two = self._number(c.source), self._number(c.other)
                coef[:, j] /= one.scale * two.scale
                self._add_line(c.source, -two.mean * coef[:, j], coef)
                self._add_line(c.other, -one.mean * coef[:, j], coef)
                intercept += one.mean * two.mean * coef[:, j]
        for start, c in zip(self._starts, self._of.placed, strict=True):
            if isinstance(c, VaryingColumn):
                curve, number = self._curve_and_number(c)
                u, first, size = self._number(number), self._start_of(curve), curve.size
                coef[:, start : start + size] /= u.scale
                coef[:, first : first + size] -= u.mean * coef[:, start : start + size]
            elif isinstance(c, SlopesColumn):
                q, number = self._sides(c)
                if number not in self._curves:
                    u, first = self._number(number), self._of.starts[q]
                    size = self._category(q).size
                    coef[:, start : start + size] /= u.scale
                    coef[:, first : first + size] -= u.mean * coef[:, start : start + size]

    def _add_line(self, source: str, slope: NDArray[np.float64], coef: NDArray[np.float64]) -> None:
        """Add a straight line to what stands for a number: its weight, or its curve."""
        if source in self._curves:
            c, start = self._curves[source], self._start_of(self._curves[source])
            coef[:, start : start + c.size] += slope[:, None] * c.centres
        else:
            coef[:, self._numbers[source]] += slope
