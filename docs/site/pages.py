"""Which pages the site has, and in which order: as docs/index.md lists them.

Each heading of docs/index.md is a section of the site, the list below it its pages. A README.md
that is listed brings along the pages of its folder. The examples are one page of a section, the
README.rst of their folder; sphinx-gallery makes it and theirs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from docs.site.links import ROOT, in_site, links

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["INDEX", "Section", "pages_of", "sections", "toctree", "with_tree"]

INDEX = Path("docs/index.md")
_SECTION = re.compile(r"^## +", re.MULTILINE)


@dataclass(frozen=True)
class Section:
    """A part of the documentation.

    Attributes
    ----------
    title : str
        Its heading.
    text : str
        What stands below the heading.
    pages : tuple of Path
        Its pages, from the repository's root.
    """

    title: str
    text: str
    pages: tuple[Path, ...]

    @property
    def name(self) -> str:
        """What its own page is called in the site."""
        return self.title.lower().replace("-", "_").replace(" ", "_")


def sections() -> list[Section]:
    """Return the sections, in order."""
    parts = _SECTION.split((ROOT / INDEX).read_text(encoding="utf-8"))[1:]
    found = []
    for part in parts:
        title, _, text = part.partition("\n")
        listed = "\n".join(line for line in text.splitlines() if line.startswith("- "))
        pages = tuple(path for path, _ in links(INDEX, listed) if path.suffix in {".md", ".rst"})
        found.append(Section(title.strip(), text.strip() + "\n", pages))
    return found


def pages_of(page: Path) -> list[Path]:
    """Return the pages that a folder's README.md brings along, by name."""
    if page.name != "README.md" or not page.is_relative_to("docs"):
        return []
    beside = sorted(path.relative_to(ROOT) for path in (ROOT / page.parent).glob("*.md"))
    return [path for path in beside if path.name not in {"README.md", "template.md"}]


def every_page() -> Iterator[Path]:
    """Yield the pages of all sections that are Markdown."""
    for section in sections():
        for page in (page for page in section.pages if page.suffix == ".md"):
            yield page
            yield from pages_of(page)


def toctree(names: Sequence[str]) -> str:
    """Return a list of pages that the navigation follows and that the page does not show."""
    return "\n".join(["", "```{toctree}", ":hidden:", "", *names, "```", ""])


def with_tree(page: Path, text: str) -> str:
    """Return a page's text, with the pages that it brings along."""
    here = in_site(page).parent
    below = [in_site(path).relative_to(here).as_posix() for path in pages_of(page)]
    return text + toctree(below) if below else text
