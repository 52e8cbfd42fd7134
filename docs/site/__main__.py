"""Build the site: ``python -m docs.site`` (`make docs`), into build/docs/html.

Pages are copied with their links as the site has them, the references generated, the tutorials'
pictures drawn, and the examples run, by sphinx-gallery. A warning of Sphinx is an error, and so is
what a page loads from elsewhere or tells of this machine.
"""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from docs.site.command_line import command_line
from docs.site.links import GALLERY, ROOT, in_site, links, rewritten, without_blank_ends
from docs.site.pages import INDEX, Section, every_page, sections, toctree, with_tree
from docs.site.pictures import draw, in_page
from docs.site.reference import reference_pages
from docs.site.self_contained import what_is_not
from docs.site.style import css
from gradstep.cli.main import app
from gradstep.version import VERSION

if TYPE_CHECKING:
    from pathlib import Path

SOURCE, HTML, TREES = (ROOT / "build/docs" / name for name in ("source", "html", "trees"))
# What a section has beside the pages that docs/index.md lists.
_GENERATED = {
    "Reference": {
        "python/index": ("Python", "every public name, with an example"),
        "command_line": ("The command line", "every verb, every option"),
    }
}


def main() -> int:
    """Write the source that Sphinx reads, and call it."""
    from sphinx.cmd.build import main as sphinx

    if SOURCE.exists():
        shutil.rmtree(SOURCE)
    write_source()
    if HTML.exists():
        shutil.rmtree(HTML)
    options = ["-b", "html", "-W", "--keep-going", "-q", "-j", "auto"]
    here = str(ROOT / "docs/site")
    status: int = sphinx([*options, "-c", here, "-d", str(TREES), str(SOURCE), str(HTML)])
    for found in what_is_not(HTML):
        print(found, file=sys.stderr)
        status = 1
    if status == 0:
        print(f"The site is {(HTML / 'index.html').relative_to(ROOT)}")
    return status


def write_source() -> None:
    """Write all pages, as Markdown."""
    found = sections()
    head = _text(INDEX).partition("\n## ")[0]
    parts = [f"## {section.title}\n\n{_listed(section)}" for section in found]
    index = rewritten(INDEX, "\n\n".join([head, *parts]))
    _write("index.md", index + toctree([section.name for section in found]))
    for section in found:
        names = [in_site(page).with_suffix("").as_posix() for page in section.pages]
        tree = toctree([*_GENERATED.get(section.title, ()), *names])
        _write(
            f"{section.name}.md",
            rewritten(INDEX, f"# {section.title}\n\n{_listed(section)}") + tree,
        )
    pages, pictures = [INDEX, *every_page()], draw()
    for page in pages[1:]:
        text = _text(page)
        shown = in_page(without_blank_ends(rewritten(page, text)), pictures)
        _write(in_site(page).as_posix(), with_tree(page, shown))
        for path, _ in links(page, text):
            if path not in pages:
                _beside(path)
    for name, text in reference_pages():
        _write(name, text)
    _write("command_line.md", command_line(app, VERSION))
    _write("_static/gradstep.css", css())


def _listed(section: Section) -> str:
    """Return what a section says, what is generated first."""
    generated = _GENERATED.get(section.title, {})
    more = [f"- [{title}]({name}.md): {about}." for name, (title, about) in generated.items()]
    said, dash, pages = section.text.partition("- ")
    return said + "".join(f"{line}\n" for line in more) + dash + pages


def _text(page: Path) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def _write(name: str, text: str) -> None:
    path = SOURCE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _beside(path: Path) -> None:
    """Bring along a file that a page links to, and that is no page of a section."""
    if path.parent == GALLERY:  # sphinx-gallery makes its page
        return
    if path.suffix == ".md":
        _write(in_site(path).as_posix(), "---\norphan: true\n---\n" + rewritten(path, _text(path)))
    elif (ROOT / path).is_file():
        (SOURCE / in_site(path)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, SOURCE / in_site(path))


if __name__ == "__main__":
    sys.exit(main())
