"""The tutorials as notebooks, made from their pages: ``python -m docs.site.notebooks``.

A page's prose and its examples become cells, without what is printed: whoever runs them sees it.
"""

from __future__ import annotations

import json
import re
from doctest import DocTestParser
from os.path import relpath
from pathlib import Path
from typing import TYPE_CHECKING

from docs.site.links import ROOT, with_links
from docs.site.pictures import PAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FOLDER", "notebook", "notebooks"]

FOLDER = Path("examples")
_CODE = re.compile(r"^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
_HEAD = """*[This page]({page}) as a notebook. It needs gradstep, which is installed from a
checkout by `pip install .`, and nothing else.*"""


def notebooks() -> dict[Path, str]:
    """Return the notebooks of all tutorials, by their files."""
    return {FOLDER / f"{page.stem}.ipynb": notebook(page.relative_to(ROOT)) for page in PAGES}


def notebook(page: Path) -> str:
    """Return the notebook of a page, as Jupyter writes it (nbformat 4.5)."""
    cells: list[dict[str, object]] = []
    for kind, source in _cells(page):
        cell = {"cell_type": kind, "id": f"{page.stem}-{len(cells)}", "metadata": {}}
        empty: dict[str, object] = (
            {"execution_count": None, "outputs": []} if kind == "code" else {}
        )
        cells.append({**cell, **empty, "source": source.splitlines(keepends=True)})
    about = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    whole = {"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _cells(page: Path) -> Iterator[tuple[str, str]]:
    """Yield the cells of a page: of what kind, and their source."""
    text = (ROOT / page).read_text(encoding="utf-8")
    text = with_links(page, text, lambda path: Path(relpath(path, FOLDER)).as_posix())
    title, _, text = text.partition("\n")
    head = _HEAD.format(page=Path(relpath(page, FOLDER)).as_posix())
    parts = _CODE.split(f"{title}\n\n{head}\n{text}")
    for prose, block in zip(parts[::2], [*parts[1::2], ""], strict=True):
        if prose.strip():
            yield "markdown", prose.strip()
        for source in _sources(block):
            yield "code", source.strip()


def _sources(block: str) -> Iterator[str]:
    r"""Yield the code of a block: of a session, up to each value that is shown; cells show one.

    Examples
    --------
    >>> list(_sources(">>> a = 1\n>>> a\n1\n>>> print(a)\n1\n>>> a + 1\n2\n"))
    ['a = 1\na\n', 'print(a)\na + 1\n']
    """
    found = DocTestParser().get_examples(block)
    if not found:
        yield from [block] if block.strip() else []
        return
    source = ""
    for example in found:
        source += example.source
        if example.want and not example.source.startswith(("print(", "for ")):
            yield source
            source = ""
    if source:
        yield source


def main() -> None:
    """Write the notebooks."""
    for path, text in notebooks().items():
        (ROOT / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
