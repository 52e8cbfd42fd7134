"""What a section is, and what a page shows of a file that is not as gradstep writes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gradstep.markup import Markup, tag
from gradstep.reporting.figures import paragraph

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Section", "or_why_not"]

MISSTATED = (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError)


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading.

    Attributes
    ----------
    name : str
        By which it is linked to.
    title : str
        Its heading.
    parts : list of Markup
        What it holds.
    """

    name: str
    title: str
    parts: list[Markup] = field(default_factory=list)

    def markup(self) -> Markup:
        """Return it as HTML."""
        return tag(
            "section", tag("h2", self.title, id=self.name), *self.parts, aria_labelledby=self.name
        )


def or_why_not(make: Callable[[], list[Markup]]) -> list[Markup]:
    """Return the parts of a section, of what a model's file says of itself: maybe anything."""
    try:
        return make()
    except MISSTATED:
        return [
            paragraph("Left out: what the model's file says of it is not what gradstep writes.")
        ]
