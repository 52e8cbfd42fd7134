"""A page of HTML that needs nothing else: its head, the sections, and a file of it."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gradstep.errors import CannotWrite
from gradstep.files import writing_file
from gradstep.markup import Markup, joined, tag, text
from gradstep.reporting.style import css

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradstep.reporting.sections.section import Section

__all__ = ["Report", "document", "fact_list", "is_other"]

_MARK = '<meta name="generator" content="gradstep report">'
# Nothing is loaded from anywhere, and nothing runs, whatever names a table has.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@dataclass(frozen=True)
class Report:
    """A report of a model, a page of HTML that needs nothing else.

    Attributes
    ----------
    html : str
        The page.
    """

    html: str

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the page to a file, at once or not at all.

        Parameters
        ----------
        path : str or path
            The file. One that is a report is replaced.
        force : bool
            Whether any other is replaced, too.

        Raises
        ------
        CannotWrite
            If the file is another one, or cannot be written.
        """
        path = Path(path)
        if not force and is_other(path):
            msg = (
                f"{path} exists, and is no report of gradstep's. Name another, or give force=True."
            )
            raise CannotWrite(msg)
        with writing_file(path) as file:
            file.write(self.html.encode())

    def __str__(self) -> str:
        """Return the page."""
        return self.html

    def __repr__(self) -> str:
        return f"<Report: {len(self.html):,} characters of HTML; save(path) writes them>"

    def _repr_html_(self) -> str:
        """Return the page in a frame, so that its style and that of a notebook stay apart."""
        return (
            f'<iframe title="gradstep report" sandbox srcdoc="{html.escape(self.html)}" '
            'style="width:100%;height:40rem;border:1px solid #888"></iframe>'
        )


def is_other(path: Path) -> bool:
    """Tell whether there is a file that is not a report of ours."""
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        return _MARK.encode() not in file.read(2000)


def fact_list(facts: Sequence[tuple[str, str, str]]) -> Markup:
    """Return the few numbers that one asks for first: what each is, its value, and more of it."""
    return tag(
        "dl",
        *(
            tag(
                "div", tag("dt", head),
                tag("dd", tag("bdi", text(value, 60)), *([tag("small", more)] if more else [])),
            )
            for head, value, more in facts
        ),
        class_="facts",
    )  # fmt: skip


def document(
    title: Markup, head: Sequence[str], sections: Sequence[Section], style: str = ""
) -> Report:  # fmt: skip
    """Return a page.

    Parameters
    ----------
    title : Markup
        What a browser calls it.
    head : sequence of Markup
        What stands above the links to the sections.
    sections : sequence of Section
        What it holds.
    style : str
        More of the style sheet, of what is on this page alone.
    """
    links = [tag("li", tag("a", section.title, href=f"#{section.name}")) for section in sections]
    about = joined([
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        Markup(_MARK),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Markup(css() + style)),
    ])  # fmt: skip
    body = joined([
        tag("header", *head, tag("nav", tag("ul", *links), aria_label="Sections")),
        tag("main", *(section.markup() for section in sections)),
    ])  # fmt: skip
    return Report(
        f'<!DOCTYPE html>\n<html lang="en">\n<head>{about}</head>\n<body>{body}</body>\n</html>\n'
    )
