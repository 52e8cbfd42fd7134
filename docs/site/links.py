"""Links of Markdown pages: where they lead, what is there, and how the site writes them.

The pages link to each other as files of the repository, so that they can be read there. The site
has the pages of ``docs`` at its top, those that are made of examples in a folder of their own, and
other files where they are in the repository.
"""

from __future__ import annotations

import re
from os.path import relpath
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "GALLERY",
    "ROOT",
    "anchors",
    "broken",
    "in_site",
    "links",
    "rewritten",
    "with_links",
    "without_blank_ends",
]

ROOT = Path(__file__).resolve().parents[2]
GALLERY = Path("examples/how_to")  # whose programs are pages, and whose README.rst is their list
_FENCE = re.compile(r"^(?P<fence>```+|~~~+).*?^(?P=fence)\s*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<=\]\()(?P<target>[^)\s]+)(?=\))")
_HEADING = re.compile(r"^#{1,6} +(?P<title>.+?)\s*$", re.MULTILINE)
_ELSEWHERE = re.compile(r"[a-z]+:|//")


def in_site(path: Path) -> Path:
    """Return where a file of the repository is in the site.

    Examples
    --------
    >>> in_site(Path("docs/tables.md")).as_posix(), in_site(Path("CHANGELOG.md")).as_posix()
    ('tables.md', 'CHANGELOG.md')
    >>> in_site(GALLERY / "README.rst").as_posix(), in_site(GALLERY / "resume.py").as_posix()
    ('gallery/index.rst', 'gallery/resume.rst')
    """
    if path.parent == GALLERY:
        return Path("gallery", "index.rst" if path.stem == "README" else f"{path.stem}.rst")
    return path.relative_to("docs") if path.parts[0] == "docs" else path


def _each_link(text: str, change: Callable[[str], str]) -> str:
    """Return a text with each link outside code changed."""
    parts, end = [], 0
    for fence in _FENCE.finditer(text):
        parts += [_LINK.sub(lambda m: change(m["target"]), text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, _LINK.sub(lambda m: change(m["target"]), text[end:])])


def links(page: Path, text: str) -> Iterator[tuple[Path, str]]:
    """Yield the files that a page links to, from the repository's root, and the anchors there."""
    for target in _LINK.findall(_FENCE.sub("", text)):
        if not _ELSEWHERE.match(target):
            name, _, anchor = target.partition("#")
            yield _resolved(page, name), anchor


def _resolved(page: Path, name: str) -> Path:
    whole = (ROOT / page.parent / name).resolve() if name else ROOT / page
    return whole.relative_to(ROOT)


def rewritten(page: Path, text: str) -> str:
    """Return a page's text with its links as they are in the site.

    Examples
    --------
    >>> rewritten(Path("CHANGELOG.md"), "[how](docs/tables.md#text), [why](#added)")
    '[how](tables.md#text), [why](#added)'
    """
    here = in_site(page).parent
    return with_links(page, text, lambda path: Path(relpath(in_site(path), here)).as_posix())


def with_links(page: Path, text: str, to: Callable[[Path], str]) -> str:
    """Return a page's text, with each link to a file as a function of its path gives it."""

    def change(target: str) -> str:
        name, hash_, anchor = target.partition("#")
        if not name or _ELSEWHERE.match(target):
            return target
        return to(_resolved(page, name)) + hash_ + anchor

    return _each_link(text, change)


def without_blank_ends(text: str) -> str:
    r"""Return a page's text without the empty lines that end code, as doctest wants them.

    Examples
    --------
    >>> without_blank_ends("1\n\n```\n>>> 2\n2\n\n```\n")
    '1\n\n```\n>>> 2\n2\n```\n'
    """
    return _FENCE.sub(lambda fence: re.sub(r"\n\n+(?=\S+\s*\Z)", "\n", fence[0]), text)


def anchors(text: str) -> set[str]:
    r"""Return the anchors of a page's headings, as GitHub and MyST make them.

    Examples
    --------
    >>> sorted(anchors("# No tuning\n## `eta0=None`\n## No tuning"))
    ['eta0none', 'no-tuning', 'no-tuning-1']
    """
    found: set[str] = set()
    for heading in _HEADING.finditer(_FENCE.sub("", text)):
        title = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading["title"])
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        again, at = slug, 1
        while again in found:
            again, at = f"{slug}-{at}", at + 1
        found.add(again)
    return found


def broken(page: Path) -> list[str]:
    """Return the links of a page that lead nowhere."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for path, anchor in links(page, text):
        if not (ROOT / path).exists():
            found.append(f"{page}: there is no {path}")
        elif anchor and path.suffix == ".md":
            there = (ROOT / path).read_text(encoding="utf-8")
            if anchor not in anchors(there):
                found.append(f"{page}: {path} has no heading #{anchor}")
    return found
