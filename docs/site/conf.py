"""Sphinx's settings for the site. `python -m docs.site` calls it."""

from __future__ import annotations

import re
from typing import Any

from docs.site.links import GALLERY, ROOT
from gradstep.version import VERSION

_PAGE = re.compile(r"`?docs/([\w/]+)\.md`?")
_CODE = re.compile(r"(``.*?``|^\s*(?:>>>|\.\.\.) .*$)")

project = "gradstep"
author = "gradstep contributors"
copyright = "gradstep contributors, BSD-3-Clause"  # noqa: A001  (Sphinx's name)
version = release = VERSION

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc", "sphinx_gallery.gen_gallery"]
myst_heading_anchors = 4  # links to headings, as GitHub has them
myst_enable_extensions = ["attrs_inline"]
default_role = "py:obj"  # `name` in docstrings is a link if it is a public name
numpydoc_show_class_members = False
numpydoc_show_inherited_class_members = False
autodoc_typehints = "none"
autodoc_preserve_defaults = True
add_module_names = False
toc_object_entries_show_parents = "hide"
smartquotes = False  # 'l2' is what is typed
exclude_patterns: list[str] = []

sphinx_gallery_conf = {
    "examples_dirs": str(ROOT / GALLERY),
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",  # all are run, whatever they are called
    "within_subsection_order": "FileNameSortKey",
    "css": ("sg_gallery",),
    "capture_repr": (),  # what an example shows it prints
    "image_srcset": ["2x"],
    "reset_modules": ("matplotlib", "docs.site.warnings_are_errors.set_filters"),
    "reset_modules_order": "both",
    "write_computation_times": False,  # a page that loads scripts from elsewhere
    "min_reported_time": float("inf"),  # on the pages, too: they would differ with each build
    "show_signature": False,
}

html_theme = "pydata_sphinx_theme"
html_title = f"gradstep {VERSION}"
html_show_sourcelink = False
html_copy_source = False
html_show_search_summary = False  # it fetches pages, which browsers refuse of files
html_static_path = ["../../build/docs/source/_static"]
html_css_files = ["gradstep.css"]
html_theme_options = {
    "logo": {"text": "gradstep"},
    "navbar_end": ["theme-switcher"],
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_toc_level": 2,
}
html_sidebars: dict[str, list[str]] = {"index": []}


def with_bars_and_links(
    app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]
) -> None:
    """Let |x| in a docstring be a magnitude, not a substitution, and docs/tables.md be a link."""
    del app, what, name, value, options
    for at, line in enumerate(lines):
        parts = _CODE.split(line)
        parts[::2] = [_PAGE.sub(r":doc:`/\1`", part.replace("|", r"\|")) for part in parts[::2]]
        lines[at] = "".join(parts)


def with_page_links(app: Any, name: str, source: list[str]) -> None:
    """Let docs/tables.md be a link in what examples say."""
    del app
    if name.startswith("gallery/"):
        source[0] = _PAGE.sub(r":doc:`/\1`", source[0])


def setup(app: Any) -> None:
    """Tell Sphinx of what is done to docstrings: after numpydoc, whose priority is 500."""
    app.connect("autodoc-process-docstring", with_bars_and_links, priority=600)
    app.connect("source-read", with_page_links)
