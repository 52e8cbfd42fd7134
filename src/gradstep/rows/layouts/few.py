"""Rows that have few of the features: sums over what a row has, and products of its pairs.

Kernels call these functions, as parts of themselves. What a row has lies apart in the parameters.
So `SUMS` are taken in the order that they are written in: vectors would have to gather it, which
takes two to three times as long (docs/adr/0060). `LINES` sum nothing, and may be reordered.
"""

from __future__ import annotations

from typing import Any

from gradstep.rows.layouts.base import as_index

__all__ = [
    "LINES",
    "SUMS",
    "add_four_lines_of_codes",
    "add_four_lines_of_row",
    "dot_of_row",
    "dot_of_terms",
    "square_of_row",
    "square_of_terms",
    "with_codes",
    "with_codes_of_four",
    "with_squares_of_codes",
]


def dot_of_row(values: Any, columns: Any, first: int, end: int, params: Any, w: int) -> float:
    """Return the product of a row's numbers with parameters from w on."""
    total = 0.0
    for at in range(as_index(first), as_index(end)):
        total += params[as_index(w + columns[at])] * values[at]
    return total


def square_of_row(values: Any, columns: Any, first: int, end: int, scale: Any) -> float:
    """Return the sum of squares of a row's numbers, scaled."""
    total = 0.0
    for at in range(as_index(first), as_index(end)):
        own = values[at] * scale[as_index(columns[at])]
        total += own * own
    return total


def add_four_lines_of_row(
    values: Any, columns: Any, first: int, a: int, weight: float, matrix: Any
) -> None:
    """Add products of a row's numbers a to a + 3, and of all before them."""
    last = matrix[matrix.shape[0] - 1]
    at = as_index(a)
    c0, c1 = as_index(columns[at]), as_index(columns[at + 1])
    c2, c3 = as_index(columns[at + 2]), as_index(columns[at + 3])
    v0, v1, v2 = values[at], values[at + 1], values[at + 2]
    own0, own1, own2, own3 = weight * v0, weight * v1, weight * v2, weight * values[at + 3]
    line0, line1, line2, line3 = matrix[c0], matrix[c1], matrix[c2], matrix[c3]
    for b in range(as_index(first), at):
        t = as_index(columns[b])
        v = values[b]
        line0[t] += own0 * v
        line1[t] += own1 * v
        line2[t] += own2 * v
        line3[t] += own3 * v
    line0[c0] += own0 * v0
    line1[c0] += own1 * v0
    line2[c0] += own2 * v0
    line3[c0] += own3 * v0
    line1[c1] += own1 * v1
    line2[c1] += own2 * v1
    line3[c1] += own3 * v1
    line2[c2] += own2 * v2
    line3[c2] += own3 * v2
    line3[c3] += own3 * values[at + 3]
    last[c0] += own0
    last[c1] += own1
    last[c2] += own2
    last[c3] += own3


def dot_of_terms(places: Any, amounts: Any, r: int, params: Any, w: int) -> float:
    """Return the product of row r's amounts with the parameters of their places, from w on."""
    total = 0.0
    for q in range(places.shape[1]):
        place = places[r, q]
        if place >= 0:
            total += params[as_index(w + place)] * amounts[r, q]
    return total


def square_of_terms(places: Any, amounts: Any, r: int, scale: Any) -> float:
    """Return the sum of squares of row r's amounts, scaled."""
    total = 0.0
    for q in range(places.shape[1]):
        place = places[r, q]
        if place >= 0:
            own = amounts[r, q] * scale[as_index(place)]
            total += own * own
    return total


def with_codes_of_four(
    codes: Any, r0: int, r1: int, r2: int, r3: int, params: Any, w: int,
    s0: float, s1: float, s2: float, s3: float,
) -> tuple[float, float, float, float]:  # fmt: skip
    """Return the scores of four rows plus the parameters of their codes, from w on."""
    for q in range(codes.shape[1]):
        c0, c1, c2, c3 = codes[r0, q], codes[r1, q], codes[r2, q], codes[r3, q]
        if c0 >= 0:
            s0 += params[as_index(w + c0)]
        if c1 >= 0:
            s1 += params[as_index(w + c1)]
        if c2 >= 0:
            s2 += params[as_index(w + c2)]
        if c3 >= 0:
            s3 += params[as_index(w + c3)]
    return s0, s1, s2, s3


def with_codes(codes: Any, r: int, params: Any, w: int, score: float) -> float:
    """Return the score of row r plus the parameters of its codes, from w on."""
    for q in range(codes.shape[1]):
        code = codes[r, q]
        if code >= 0:
            score += params[as_index(w + code)]
    return score


def with_squares_of_codes(codes: Any, r: int, scale: Any, total: float) -> float:
    """Return a sum of squares plus those of row r's codes, each its scale squared."""
    for q in range(codes.shape[1]):
        code = codes[r, q]
        if code >= 0:
            total += scale[as_index(code)] * scale[as_index(code)]
    return total


def add_four_lines_of_codes(x: Any, codes: Any, r: int, a: int, weight: float, matrix: Any) -> None:
    """Add products of row r's codes a to a + 3, and of all before them."""
    last = matrix[matrix.shape[0] - 1]
    c0, c1 = as_index(codes[r, a]), as_index(codes[r, a + 1])
    c2, c3 = as_index(codes[r, a + 2]), as_index(codes[r, a + 3])
    line0, line1, line2, line3 = matrix[c0], matrix[c1], matrix[c2], matrix[c3]
    for t in range(x.shape[1]):
        own = weight * x[r, t]
        line0[t] += own
        line1[t] += own
        line2[t] += own
        line3[t] += own
    for b in range(a):
        other = as_index(codes[r, b])
        line0[other] += weight
        line1[other] += weight
        line2[other] += weight
        line3[other] += weight
    line0[c0] += weight
    line1[c0] += weight
    line2[c0] += weight
    line3[c0] += weight
    line1[c1] += weight
    line2[c1] += weight
    line3[c1] += weight
    line2[c2] += weight
    line3[c2] += weight
    line3[c3] += weight
    last[c0] += weight
    last[c1] += weight
    last[c2] += weight
    last[c3] += weight


SUMS = (
    dot_of_row,
    dot_of_terms,
    square_of_row,
    square_of_terms,
    with_codes,
    with_codes_of_four,
    with_squares_of_codes,
)
LINES = (add_four_lines_of_codes, add_four_lines_of_row)
