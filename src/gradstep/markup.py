"""Elements of HTML and SVG. What is text is escaped, always; what is markup has a type of its own.

Names of columns and levels come from strangers and may be anything: tags, quotes, ten thousand
letters, characters that turn the direction of what follows. `text` makes any of them harmless.
"""

from __future__ import annotations

import html
import math
import unicodedata
from typing import TYPE_CHECKING

from gradstep.characters import escaped

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Markup", "clipped", "joined", "table_of", "tag", "text", "width_of"]

MOST_LETTERS = 200  # of a text that others have written
# How wide letters are, by their height: those of a wide typeface, so that others fit as well.
_NARROW, _USUAL, _CAPITAL, _WIDE = 0.38, 0.64, 0.72, 1.05
_NARROW_ONES, _WIDE_ONES = frozenset(" .,:;'|!()[]/\\-ijlftrI"), frozenset("mwMW@%—…")
_VOID = frozenset({"meta", "br", "input"})


class Markup(str):
    """HTML or SVG that is sound: made by the functions of this page."""

    __slots__ = ()


def text(content: str, most: int = MOST_LETTERS) -> Markup:
    r"""Return a text as markup: escaped, not too long, and nothing in it acts.

    Examples
    --------
    >>> text("<b>'a' & \u202e\x00")
    '&lt;b&gt;&#x27;a&#x27; &amp; \\u202e\\x00'
    >>> text("x" * 10_000, most=5)
    'xxxx…'
    """
    return Markup(html.escape(_shortened(escaped(content[: most + 1]), most)))


def _shortened(content: str, most: int) -> str:
    return content if len(content) <= most else content[: most - 1] + "…"


def width_of(content: str, size: float) -> float:
    """Return about how wide a text is, in letters of some height."""
    return size * sum(map(_width, content))


def _width(letter: str) -> float:
    if letter in _NARROW_ONES:
        return _NARROW
    if letter in _WIDE_ONES or unicodedata.east_asian_width(letter) in "WF":
        return _WIDE
    return _CAPITAL if letter.isupper() else _USUAL


def clipped(content: str, room: float, size: float) -> str:
    """Return what of a text fits into some width, with an ellipsis where it was cut.

    Examples
    --------
    >>> clipped("a long name", 40.0, 11.0)
    'a lo…'
    """
    content = escaped(content[:MOST_LETTERS])
    if width_of(content, size) <= room:
        return content
    while content and width_of(content + "…", size) > room:
        content = content[:-1]
    return content + "…"


def tag(name: str, /, *content: str, **attributes: object) -> Markup:
    """Return an element.

    Parameters
    ----------
    name : str
        Its name.
    *content : str or Markup
        Text, which is escaped, or elements.
    **attributes
        ``class_`` is class, ``font_size`` font-size; numbers get two digits after the point at
        most, None is none.

    Examples
    --------
    >>> tag("p", "1 < 2", tag("b", "!"), class_="a")
    '<p class="a">1 &lt; 2<b>!</b></p>'
    >>> tag("circle", cx=1.0, cy=0.33333)
    '<circle cx="1" cy="0.33"></circle>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{joined(content)}</{name}>")


def joined(content: list[Markup] | tuple[str, ...]) -> Markup:
    """Return elements and texts after each other."""
    return Markup("".join(c if isinstance(c, Markup) else html.escape(escaped(c)) for c in content))


def table_of(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> Markup:
    """Return a table; the cells are text, which is escaped and not too long.

    Examples
    --------
    >>> table_of(["column"], [["<b>"]])[-46:]
    '<bdi>&lt;b&gt;</bdi></td></tr></tbody></table>'
    """
    head = tag("tr", *(tag("th", text(title), scope="col") for title in titles))
    body = [tag("tr", *(tag("td", tag("bdi", text(cell))) for cell in line)) for line in lines]
    return tag("table", tag("thead", head), tag("tbody", *body))


def _attribute(value: object) -> str:
    if isinstance(value, float):
        if not math.isfinite(value):
            msg = f"{value} is no place in a figure"
            raise ValueError(msg)
        return f"{value:.2f}".rstrip("0").rstrip(".") if value else "0"
    return html.escape(escaped(str(value)))
