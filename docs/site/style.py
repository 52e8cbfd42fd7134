"""The style of the site beside the theme's: pictures in the colours of a report, light and dark.

Of the gallery: what examples print, and what there is to download, in the colours of the theme.
"""

from __future__ import annotations

from gradstep.reporting.style import DARK, LIGHT, marks, variables

__all__ = ["css", "own_style"]

_MORE = """
.picture{margin:1.5rem 0}
.picture svg{display:block;width:100%;height:auto;max-width:34rem}
.sphx-glr-download-link-note{display:none}
html[data-theme]{
--sg-script-out:var(--pst-color-text-muted);
--sg-script-pre:var(--pst-color-background);
--sg-download-a-background-color:transparent;
--sg-download-a-background-image:none;
--sg-download-a-border-color:var(--pst-color-border);
--sg-download-a-color:var(--pst-color-link);
--sg-download-a-hover-background-color:var(--pst-color-surface);
}
.bd-article h1{font-size:2.2rem}
.bd-article h2{font-size:1.6rem}
.bd-article table td:first-child code{white-space:nowrap}
@media(min-width:960px){
.bd-sidebar-primary{flex-basis:15.5rem;max-width:15.5rem}
.bd-sidebar-secondary{flex-basis:14rem;max-width:14rem}
.bd-main .bd-content .bd-article-container{max-width:54rem}
}
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
