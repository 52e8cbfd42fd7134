"""What `import gradstep` offers, and what it costs."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import gradstep

OBJECTS = [name for name in gradstep.__all__ if name != "__version__"]


@pytest.mark.parametrize("name", OBJECTS)
def test_every_public_name_has_a_home_and_a_docstring(name):
    public = getattr(gradstep, name)
    home = importlib.import_module(gradstep._HOME_OF[name])
    assert getattr(home, name) is public
    assert name in home.__all__
    assert inspect.getdoc(public)
    assert not public.__doc__.startswith(f"{name}("), "made up by NamedTuple"


def test_names_are_listed_once_and_in_order():
    assert gradstep.__all__ == ["__version__", *sorted(set(OBJECTS))]
    assert dir(gradstep) == sorted(gradstep.__all__)
    assert sum(len(names.split()) for names in gradstep._HOMES.values()) == len(OBJECTS), (
        "two homes for one name"
    )


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'gradstep' has no attribute 'Hubber'"):
        gradstep.Hubber  # noqa: B018


def test_type_checkers_see_the_names_that_there_are():
    """The imports under TYPE_CHECKING are the table of homes, each re-exported (X as X)."""
    tree = ast.parse(Path(gradstep.__file__).read_text(encoding="utf-8"))
    block = next(
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    seen = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }
    assert seen == gradstep._HOME_OF


def imported_by(code):
    """Return the top-level packages that are loaded after running code in a new interpreter."""
    show = "import sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, check=True
    )
    return set(run.stdout.split())


HEAVY = {"numba", "llvmlite", "sklearn", "scipy", "polars", "pandas"}


def test_importing_the_package_imports_nothing_heavy():
    assert not imported_by("import gradstep; dir(gradstep)") & (HEAVY | {"numpy"})


def test_components_need_neither_numba_nor_scikit_learn():
    names = [
        name
        for name, home in gradstep._HOME_OF.items()
        if home.split(".")[1] in {"objective", "optim"}
    ]
    code = "import gradstep, gradstep.fit.components, gradstep.rows.layouts\n"
    loaded = imported_by(code + "\n".join(f"gradstep.{name}" for name in names))
    assert "numpy" in loaded
    assert not loaded & HEAVY
