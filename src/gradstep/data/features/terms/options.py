"""Which terms are asked for: what users write, checked as far as no table is needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.checks import check_number
from gradstep.errors import InvalidParameter
from gradstep.parameters import given

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "AUTO",
    "KNOTS",
    "LEAST_KNOTS",
    "MOST_KNOTS",
    "MOST_POWER",
    "TERMS",
    "TermOptions",
    "as_terms",
]

AUTO = "auto"
KNOTS = 10  # of a spline, unless others are asked for
LEAST_KNOTS, MOST_KNOTS = 2, 1000
MOST_POWER = 9
TERMS = ("splines", "crosses", "polynomials", "logs")


class TermOptions:
    """The terms that are asked for: a part of `PrepareOptions`.

    Attributes
    ----------
    splines : tuple of (str, int)
        Columns that become curves, each with its knots; ("auto", 0) for those where it pays.
    crosses : tuple of (str, str)
        Pairs of columns.
    polynomials : tuple of (str, int)
        Columns with their highest power.
    logs : tuple of str
        Columns whose logarithm takes their place.
    """

    splines: tuple[tuple[str, int], ...]
    crosses: tuple[tuple[str, str], ...]
    polynomials: tuple[tuple[str, int], ...]
    logs: tuple[str, ...]

    @property
    def auto(self) -> bool:
        """Whether terms are to be chosen."""
        return (AUTO, 0) in self.splines

    @property
    def of_terms(self) -> list[str]:
        """The columns that terms are made of."""
        return list(dict.fromkeys(column for column, _ in self.named_in_terms))

    @property
    def named_in_terms(self) -> Iterator[tuple[str, str]]:
        """The columns that terms are made of, each with the parameter that asked for it."""
        for column, knots in self.splines:
            if (column, knots) != (AUTO, 0):
                yield column, given("splines", [column])
        for pair in self.crosses:
            for column in pair:
                yield column, given("crosses")
        for column, _ in self.polynomials:
            yield column, given("polynomials")
        for column in self.logs:
            yield column, given("logs", [column])

    def check_terms(self) -> None:
        """Refuse what cannot be a term of any table."""
        for column, knots in self.splines:
            if (column, knots) != (AUTO, 0):
                what = f"knots of the spline of {column!r}"
                check_number("prepare", what, knots, low=LEAST_KNOTS, high=MOST_KNOTS, whole=True)
        for column, power in self.polynomials:
            what = f"power of {column!r}"
            check_number("prepare", what, power, low=2, high=MOST_POWER, whole=True)
        found: dict[str, str] = {}
        each = {"spline": self.splines, "polynomial": self.polynomials}
        asked = [(name, kind) for kind, pairs in each.items() for name, _ in pairs]
        for name, kind in [*asked, *((name, "logarithm") for name in self.logs)]:
            if name in found:
                both = f"a {found[name]} and a {kind}" if found[name] != kind else f"two {kind}s"
                msg = (
                    f"Column {name!r} is asked for as {both}: it can be one. Leave the other away."
                )
                raise InvalidParameter(msg)
            found[name] = kind
        pairs: set[frozenset[str]] = set()
        for one, two in self.crosses:
            if one == two:
                msg = (
                    f"A cross of {one!r} with itself says nothing new. For its square use a "
                    f"polynomial ({one}:2), for a curve a spline."
                )
                raise InvalidParameter(msg)
            if frozenset((one, two)) in pairs:
                msg = f"The cross of {one!r} and {two!r} is asked for twice. Leave one away."
                raise InvalidParameter(msg)
            pairs.add(frozenset((one, two)))


def as_terms(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of terms among keyword arguments, in the form that `TermOptions` has.

    Examples
    --------
    >>> as_terms({"splines": ["carat"], "crosses": "color:cut", "logs": "price", "drop": "x"})
    {'splines': (('carat', 10),), 'crosses': (('color', 'cut'),), 'logs': ('price',)}
    """
    found: dict[str, Any] = {}
    for name in TERMS:
        value = given.get(name)
        if value is None:
            continue
        if isinstance(value, (str, bytes)):
            value = (value,)
        if name in {"splines", "polynomials"}:
            found[name] = _numbered(name, value)
        elif name == "crosses":
            found[name] = tuple(_pair(each) for each in value)
        else:
            found[name] = tuple(value)
    return {name: value for name, value in found.items() if value}


def _numbered(name: str, value: Any) -> tuple[tuple[str, int], ...]:
    """Return columns, each with a number of its own."""
    if isinstance(value, Mapping):
        plain = {k: v.item() if isinstance(v, np.generic) else v for k, v in value.items()}
        return tuple(plain.items())
    if name == "polynomials":
        msg = f"polynomials={value!r} must have a power for each column, such as {{'age': 2}}."
        raise InvalidParameter(msg)
    return tuple(
        (AUTO, 0) if each == AUTO else (each, KNOTS) if isinstance(each, str) else tuple(each)
        for each in value
    )


def _pair(value: Any) -> tuple[str, str]:
    """Return the two columns of a cross: as a pair, or with a colon between."""
    parts = value.split(":") if isinstance(value, str) else tuple(value)
    if len(parts) != 2 or not all(isinstance(part, str) and part for part in parts):
        msg = (
            f"crosses has {value!r}: a cross is of two columns, such as 'color:clarity' or "
            "('color', 'clarity')."
        )
        raise InvalidParameter(msg)
    return parts[0], parts[1]
