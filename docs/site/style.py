"""The style of the site beside the theme's: pictures in the colours of a report, light and dark."""

from __future__ import annotations

from gradstep.reporting.style import DARK, LIGHT, marks, variables

__all__ = ["css", "own_style"]

_MORE = """
.picture svg{display:block;width:100%;height:auto;max-width:34rem}
.picture{margin:1.5rem 0}
.bd-article table code{white-space:nowrap}
.bd-main .bd-content .bd-article-container{max-width:56rem}
dl.field-list{display:block}
dl.field-list>dd{margin-left:0;padding-left:0}
"""


def css() -> str:
    """Return the style sheet of the site."""
    return (
        f".picture{{{variables(LIGHT)}}}\n"
        f"html[data-theme=dark] .picture{{{variables(DARK)}}}\n"
        f".picture{{\n{marks()}}}\n{_MORE}"
    )


def own_style() -> str:
    """Return the style sheet of a picture that stands alone, in a file."""
    return (
        f"svg{{{variables(LIGHT)}}}\n"
        f"@media (prefers-color-scheme:dark){{svg{{{variables(DARK)}background:var(--page)}}}}\n"
        f"{marks()}"
    )
