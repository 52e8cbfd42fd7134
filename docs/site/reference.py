"""The reference of the Python names: a page for each, in groups by the module that it lives in."""

from __future__ import annotations

import inspect
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import gradstep
from docs.site.links import GALLERY, ROOT, in_site
from docs.site.pages import sections

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["GROUPS", "groups", "reference_pages"]

# Title, what it is about, and the modules of gradstep; the longest name that fits decides.
GROUPS = {
    "Estimators": (
        "of arrays and sparse matrices, as scikit-learn's are.",
        ["estimators"],
    ),
    "Tables": (
        "from a file or a frame to a model; [Tables](../tables.md) shows how.",
        ["estimators.of_tables", "fit", "data"],
    ),
    "Models": (
        "of tables: kept, read, applied, judged, shown.",
        ["model", "reporting", "inference"],
    ),
    "Displays": (
        "draw fits with matplotlib, as scikit-learn's do; [Pictures](../pictures.md) shows them.",
        ["estimators.displays"],
    ),
    "Losses": (
        "are what is minimised; [Components](../components.md) has their formulas.",
        ["objective"],
    ),
    "Penalties": ("of large coefficients.", ["objective.penalties"]),
    "Optimizers": ("are how a step is taken.", ["optim"]),
    "Learning rates": ("are how long steps are.", ["optim.schedules"]),
    "Callbacks": ("are told of a run, and what they are told.", ["engine"]),
    "Errors": ("and warnings, and what their codes mean.", ["errors", "diagnostics"]),
    "Others": ("", [""]),
}
_OWN = "gradstep."


def groups() -> dict[str, list[str]]:
    """Return the public names of each group, sorted.

    Examples
    --------
    >>> groups()["Estimators"]
    ['MiniBatchClassifier', 'MiniBatchRegressor']
    """
    found: dict[str, list[str]] = {title: [] for title in GROUPS}
    for name in sorted(gradstep.__all__, key=str.lower):
        if not name.startswith("_"):
            found[_group_of(getattr(gradstep, name).__module__)].append(name)
    return {title: names for title, names in found.items() if names}


def _group_of(module: str) -> str:
    """Return the title of the group that a module belongs to."""
    fits = [
        (len(home), title)
        for title, (_, homes) in GROUPS.items()
        for home in homes
        if not home or f"{module}.".startswith(f"{_OWN}{home}.")
    ]
    return max(fits)[1]


def reference_pages() -> Iterator[tuple[str, str]]:
    """Yield the pages as their names in the site and their texts."""
    found = groups()
    listed = []
    for title, names in found.items():
        slug = title.lower().replace(" ", "_")
        head = (
            f"# {title}\n\n{title} {GROUPS[title][0]}\n\n" if GROUPS[title][0] else f"# {title}\n\n"
        )
        table = [
            "| | |", "|---|---|",
            *(f"| {_link(name)} | {_summary(name)} |" for name in names),
        ]  # fmt: skip
        yield f"python/{slug}.md", head + "\n".join(table) + "\n" + _tree(list(map(_file, names)))
        links = ", ".join(map(_link, names))
        listed.append(f"- [{title}]({slug}.md): {links}")
        for name in names:
            yield f"python/{_file(name)}.md", _page(name)
    slugs = [title.lower().replace(" ", "_") for title in found]
    yield (
        "python/index.md",
        "# Python\n\nAll names are imported from `gradstep`.\n\n"
        + "\n".join(listed) + "\n" + _tree(slugs),
    )  # fmt: skip


def _file(name: str) -> str:
    """Return what a page is called: `Report` and `report` are one file on some systems."""
    twins = [other for other in gradstep.__all__ if other.lower() == name.lower()]
    return f"{name}_function" if len(twins) > 1 and name.islower() else name


def _link(name: str) -> str:
    return f"[`{name}`]({_file(name)}.md)"


def _tree(names: list[str]) -> str:
    return "\n".join(["", "```{toctree}", ":hidden:", "", *names, "```", ""])


def _summary(name: str) -> str:
    """Return the first line of a docstring, as the cell of a table."""
    return (inspect.getdoc(getattr(gradstep, name)) or "").splitlines()[0].replace("|", "\\|")


def _page(name: str) -> str:
    value = getattr(gradstep, name)
    lines = [f"# {name}", "", "```{eval-rst}", ".. currentmodule:: gradstep", ""]
    if inspect.isclass(value):
        lines.append(f".. autoclass:: {name}")
        members = _members(value)
        if members:
            lines += ["   :members: " + ", ".join(members), "   :member-order: bysource"]
    else:
        lines.append(f".. autofunction:: {name}")
    lines += ["```", ""]
    shown = [f"[{title}](../{path})" for title, path, text in _guides() if _tells(text, name)]
    if shown:
        lines += ["**Shown in** " + ", ".join(shown), ""]
    return "\n".join(lines)


@cache
def _guides() -> list[tuple[str, str, str]]:
    """Return the pages that show how names are used: title, place, text."""
    found = []
    for section in sections():
        for page in section.pages if section.title != "Project" else ():
            if page.suffix == ".md":
                text = (ROOT / page).read_text(encoding="utf-8")
                found.append((text.splitlines()[0].lstrip("# "), in_site(page).as_posix(), text))
    for path in sorted((ROOT / GALLERY).glob("*.py")):
        text = path.read_text(encoding="utf-8")
        found.append((text.splitlines()[1], in_site(GALLERY / path.name).as_posix(), text))
    return found


def _tells(text: str, name: str) -> bool:
    """Tell whether a page uses a name, or speaks of it: in code, that is.

    Examples
    --------
    >>> _tells("At the end `Adam(beta1=0.8)` is built", "Adam"), _tells("At the end", "At")
    (True, False)
    """
    if name.islower():  # a word of the language, too
        return f"gradstep.{name}" in text
    return re.search(rf"\b{name}\(|`{name}`|import [^\n]*\b{name}\b", text) is not None


def _members(kind: type) -> list[str]:
    """Return the public methods that gradstep itself wrote and documents."""
    fields = getattr(kind, "_fields", ())
    found = []
    for name, member in inspect.getmembers(kind):
        home = getattr(_function(member), "__module__", None) or ""
        if not name.startswith("_") and name not in fields and home.startswith(_OWN):
            found.append(name)
    return [name for name in found if inspect.getdoc(getattr(kind, name))]


def _function(member: Any) -> Any:
    """Return the function behind a method or a property."""
    return member.fget if isinstance(member, property) else member
