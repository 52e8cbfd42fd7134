"""Sphinx's settings for the site. `python -m docs.site` calls it."""

from __future__ import annotations

import re
from typing import Any

from gradstep.version import VERSION

_PAGE = re.compile(r"`?docs/([\w/]+)\.md`?")
_CODE = re.compile(r"(``.*?``|^\s*(?:>>>|\.\.\.) .*$)")

project = "gradstep"
author = "gradstep contributors"
copyright = "gradstep contributors, BSD-3-Clause"  # noqa: A001  (Sphinx's name)
version = release = VERSION

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
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


def setup(app: Any) -> None:
    """Tell Sphinx of what is done to docstrings: after numpydoc, whose priority is 500."""
    app.connect("autodoc-process-docstring", with_bars_and_links, priority=600)
