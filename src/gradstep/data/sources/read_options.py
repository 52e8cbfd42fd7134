"""How text is to be read, as far as a person says so."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from gradstep.errors import InvalidParameter

__all__ = ["ReadOptions"]


@dataclass(frozen=True)
class ReadOptions:
    """How text is to be read: what is not given is found out.

    Attributes
    ----------
    decimal : {None, ".", ","}
        The decimal mark of all numbers.
    thousands : {None, "", ",", ".", " ", "'"}
        What stands between thousands; empty for nothing.
    na : tuple of str
        Values that are missing, besides the usual ones; in text and in numbers.
    encoding : str
        Of text files, by Python's name for it; by default UTF-8, or what a byte-order mark says.
    """

    decimal: str | None = None
    thousands: str | None = None
    na: tuple[str, ...] = ()
    encoding: str = ""

    def check(self) -> None:
        """Refuse what is not allowed."""
        for name, value, allowed in (
            ("decimal", self.decimal, (".", ",")),
            ("thousands", self.thousands, (",", ".", " ", "'", "")),
        ):
            if value is not None and value not in allowed:
                listed = ", ".join(map(repr, allowed))
                msg = f"{name}={value!r} must be one of {listed}."
                raise InvalidParameter(msg)
        if self.decimal is not None and self.decimal == self.thousands:
            msg = f"decimal and thousands are both {self.decimal!r}: they must differ."
            raise InvalidParameter(msg)
        if self.encoding:
            try:
                codecs.lookup(self.encoding)
            except LookupError:
                msg = (
                    f"encoding={self.encoding!r} is not known. Known are utf-8, latin-1, cp1252, "
                    "utf-16, shift_jis, and Python's others."
                )
                raise InvalidParameter(msg) from None
