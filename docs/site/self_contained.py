"""What the site must not have: files that are loaded from elsewhere, paths of this machine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from docs.site.links import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["what_is_not"]

_TEXT = {".css", ".html", ".ipynb", ".js", ".py"}
_PAGE = re.compile(
    r"""<(?:script|img|iframe|source|video)\b[^>]*\bsrc(?:set)?=["']?(?:https?:)?//[^>]*>"""
    r"""|<link\b(?=[^>]*(?:stylesheet|preload|icon))[^>]*href=["']?(?:https?:)?//[^>]*>"""
)
_STYLE = re.compile(r"""(?:url\(|@import )\s*["']?(?:https?:)?//[^;)]*""")


def what_is_not(folder: Path) -> Iterator[str]:
    """Yield what a site loads from elsewhere, and where it tells of this machine."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in _TEXT:
            text, name = path.read_text(encoding="utf-8"), path.relative_to(folder).as_posix()
            found = {".html": _PAGE, ".css": _STYLE}.get(path.suffix)
            for load in found.finditer(text) if found else ():
                yield f"{name} loads what lies elsewhere: {load[0]}"
            if str(ROOT) in text:
                yield f"{name} has a path of this machine: {ROOT}"
