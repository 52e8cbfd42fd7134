"""How a page looks: colours for light and dark, one column on a phone, and on paper.

Letters and lines have a contrast of 4.5 to 1 or more with what lies behind them, in both schemes
(tests/reporting/test_style.py computes it).
"""

from __future__ import annotations

__all__ = ["DARK", "LIGHT", "css", "marks", "variables"]

LIGHT = {
    "page": "#ffffff", "card": "#f6f8fa", "ink": "#1b1f24", "quiet": "#57606a",
    "edge": "#d0d7de", "link": "#0b5cad",
    "s0": "#0b5cad", "s1": "#a83f00", "s2": "#176b2c", "s3": "#8034a8", "s4": "#7a5600",
    "s5": "#a5104f",
}  # fmt: skip
DARK = {
    "page": "#0f1419", "card": "#171d24", "ink": "#e6edf3", "quiet": "#a3afbb",
    "edge": "#38424d", "link": "#79b8ff",
    "s0": "#6cb2ff", "s1": "#ffa15c", "s2": "#6fd08c", "s3": "#d6a2ff", "s4": "#e8c24a",
    "s5": "#ff8fc0",
}  # fmt: skip
_DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 2", "14 3")  # so that lines differ without colour


def css() -> str:
    """Return the style sheet."""
    return (
        f":root{{color-scheme:light dark;{variables(LIGHT)}}}\n"
        f"@media (prefers-color-scheme:dark){{:root{{{variables(DARK)}}}}}\n"
        f"{_RULES}{marks()}"
        f"@media print{{:root{{color-scheme:light;{variables(LIGHT)}}}{_PRINT}}}\n"
    )


def marks() -> str:
    """Return the part of it that pictures need, wherever they stand."""
    series = "".join(
        f".s{i}{{--own:var(--s{i})}}.d{i}{{stroke-dasharray:{dash or 'none'}}}\n"
        for i, dash in enumerate(_DASHES)
    )
    return series + _MARKS


def variables(colours: dict[str, str]) -> str:
    """Return the colours of a scheme, as properties."""
    return "".join(f"--{name}:{colour};" for name, colour in colours.items())


_RULES = """
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:75rem;background:var(--page);color:var(--ink);
font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.25;margin:.5rem 0}
h2{font-size:1.25rem;margin:2.5rem 0 .5rem;padding-top:.5rem;border-top:1px solid var(--edge)}
h3{font-size:1.05rem;margin:1.5rem 0 .5rem}
p{margin:.5rem 0;max-width:46rem}
a{color:var(--link)}
:focus-visible{outline:3px solid var(--link);outline-offset:2px}
nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1rem;padding:0;margin:.5rem 0;list-style:none}
.quiet,figure p{color:var(--quiet);font-size:.9rem}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.75rem;
margin:1rem 0;padding:0}
.facts div{background:var(--card);border:1px solid var(--edge);border-radius:.5rem;
padding:.6rem .8rem}
.facts dt{color:var(--quiet);font-size:.85rem}
.facts dd{margin:0;font-size:1.25rem;font-weight:600}
.facts dd small{display:block;font-size:.85rem;font-weight:400;color:var(--quiet)}
.grave{background:var(--card);border:1px solid var(--s1);border-left-width:.4rem;
border-radius:.5rem;padding:.3rem .8rem;margin:1rem 0}
.words{padding-left:1.2rem;max-width:60rem}
.words li{margin:.25rem 0}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(21rem,100%),1fr));gap:1rem;
align-items:start;margin:1rem 0}
figure{margin:0;padding:.75rem;background:var(--card);border:1px solid var(--edge);
border-radius:.5rem;min-width:0}
.alone{max-width:34rem}
figcaption{font-weight:600;margin-bottom:.4rem}
svg{display:block;width:100%;height:auto;max-width:32rem}
details{margin-top:.4rem}
summary{cursor:pointer;color:var(--link);font-size:.9rem;padding:.25rem 0}
.scroll{overflow-x:auto;max-height:30rem;overflow-y:auto}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
th,td{padding:.25rem .75rem .25rem 0;text-align:left;vertical-align:top;
border-bottom:1px solid var(--edge);max-width:26rem;overflow-wrap:break-word}
thead th{color:var(--quiet);font-weight:600}
tbody th{font-weight:400;min-width:6.5rem;overflow-wrap:anywhere}
.number{text-align:right;white-space:nowrap}
thead .number{white-space:normal;overflow-wrap:normal}
code{white-space:nowrap}
"""
_MARKS = """
text{font:11px system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
text{fill:var(--ink)}
.tick,.axis{fill:var(--quiet)}
.label,.tick{paint-order:stroke;stroke:var(--card);stroke-width:3px;stroke-linejoin:round}
.end{text-anchor:end}
.middle{text-anchor:middle}
line.grid{stroke:var(--edge);stroke-width:1}
.hanging{fill:var(--s0);fill-opacity:.55}
.zero{stroke:var(--quiet);stroke-width:1.5}
.line{fill:none;stroke:var(--own);stroke-width:2;stroke-linejoin:round}
.band{fill:var(--own);fill-opacity:.2;stroke:none}
.dot,.bar{fill:var(--own);stroke:none}
.whisker{stroke:var(--own);stroke-width:2.5;stroke-linecap:round}
.reference{fill:none;stroke:var(--quiet);stroke-width:1.5;stroke-dasharray:5 4}
.ring{fill:none;stroke:var(--ink);stroke-width:1.5}
.contour{fill:none;stroke:var(--quiet);stroke-width:1;stroke-opacity:.6}
.cloud{fill:none;stroke:var(--s0);stroke-width:3;stroke-linecap:round;stroke-opacity:.35}
"""
_PRINT = """
body{max-width:none;padding:0;font-size:10pt}
figure,tr,.grave,.facts div,.scroll{break-inside:avoid}
h2,h3,h2+p{break-after:avoid}
nav,summary{display:none}
.scroll{max-height:none;overflow:visible}
a{color:inherit;text-decoration:none}
"""
