"""What grows unseen: the length of files, and the number of a function's parameters.

Whoever goes beyond a bound splits the file, or bundles the parameters; or adds an exception here,
with a reason that a reader accepts. An exception that is no longer needed fails as well.
"""

from __future__ import annotations

import ast
from pathlib import Path

import gradstep

PACKAGE = Path(gradstep.__file__).parent
TESTS = Path(__file__).parent
MOST_LINES = 400
MOST_PARAMETERS = 12

LONG_FILES = {
    "estimators/regressor.py": "28 documented parameters, of which the classifier refers to most",
}

# More parameters than that, for users: each is one setting, given by its name.
PUBLIC = {
    "cli/compare.py:compare": "the options of `gradstep compare`",
    "cli/predict.py:predict": "the options of `gradstep predict`",
    "cli/prepare.py:prepare": "the options of `gradstep prepare`",
    "cli/train.py:train": "the options of `gradstep train`",
    "comparing/compare.py:compare": "the settings of a comparison",
    "estimators/classifier.py:MiniBatchClassifier.__init__": "scikit-learn's, and batch_size",
    "estimators/regressor.py:MiniBatchRegressor.__init__": "scikit-learn's, and batch_size",
    "estimators/of_tables/classifier.py:TableClassifier.__init__": "those of fit_table",
    "estimators/of_tables/regressor.py:TableRegressor.__init__": "those of fit_table",
    "fit/table.py:fit_table": "the settings of a fit of a table",
}
# Compiled: a record per call would cost more to compile, and to unpack, than it tells a reader.
KERNELS = {
    "engine/kernels/sums.py:sum_evaluations": "losses, gradient and Hessian in one pass",
    "engine/kernels/svrg.py:reduced_steps": "rows, penalty, preconditioner, snapshot, state",
}
# Called by address: numbers and pointers, each array with its shape, as C has them.
BY_ADDRESS = {
    f"engine/kernels/{name}": "rows, scores, and room to write, as C has them"
    for name in (
        "compiled_losses.py:_call_tile_losses",
        "compiled_losses.py:_call_tile_second_derivatives",
        "compiled_losses.py:_make_tile_losses.tile_losses",
        "compiled_losses.py:_make_tile_second_derivatives.tile_second_derivatives",
        "loss_functions.py:_call_second_derivatives",
        "loss_functions.py:second_derivatives_of_tile.apart",
        "loss_functions.py:second_derivatives_of_tile.of_pairs",
    )
}
MANY_PARAMETERS = PUBLIC | KERNELS | BY_ADDRESS


def sources(folder):
    """Yield the path of each file, and its text."""
    for path in sorted(folder.rglob("*.py")):
        yield path.relative_to(folder).as_posix(), path.read_text()


def long_files(folder):
    return {path for path, text in sources(folder) if len(text.splitlines()) > MOST_LINES}


def n_parameters(function, *, of_class):
    """Return how many parameters a caller sees: of a method, all but the instance or class."""
    of = function.args
    named = [*of.posonlyargs, *of.args]
    static = any(
        isinstance(d, ast.Name) and d.id == "staticmethod" for d in function.decorator_list
    )
    n = len(named) + len(of.kwonlyargs) + (of.vararg is not None) + (of.kwarg is not None)
    return n - (of_class and not static)


def functions(tree, names=(), *, of_class=False):
    """Yield each function of a tree, however deep, by its qualified name."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield ".".join((*names, node.name)), n_parameters(node, of_class=of_class)
            yield from functions(node, (*names, node.name))
        elif isinstance(node, ast.ClassDef):
            yield from functions(node, (*names, node.name), of_class=True)
        else:
            yield from functions(node, names, of_class=of_class)


def many_parameters(folder):
    return {
        f"{path}:{name}"
        for path, text in sources(folder)
        for name, n in functions(ast.parse(text))
        if n > MOST_PARAMETERS
    }


def test_no_file_is_long():
    assert long_files(PACKAGE) == set(LONG_FILES)
    assert long_files(TESTS) == set()


def test_no_function_has_many_parameters():
    assert many_parameters(PACKAGE) == set(MANY_PARAMETERS)


def test_only_kernels_are_excused_as_kernels():
    assert all("/kernels/" in name for name in KERNELS)


def test_what_is_too_large_is_found(tmp_path):
    """A long file; functions, methods and nested ones with one parameter more than there may be."""
    given = ", ".join(f"a{i}" for i in range(MOST_PARAMETERS))
    (tmp_path / "long.py").write_text("\n" * (MOST_LINES + 1))
    (tmp_path / "enough.py").write_text(f"def f({given}): ...\n" + "\n" * (MOST_LINES - 1))
    (tmp_path / "many.py").write_text(
        f"def f({given}, *more): ...\n"
        f"class A:\n"
        f"    def g(self, {given}): ...\n"
        f"    async def h(self, {given}, *, b): ...\n"
        f"    @staticmethod\n"
        f"    def s({given}, /, b): ...\n"
        f"def outer():\n"
        f"    if True:\n"
        f"        def inner({given}, **more): ...\n"
    )
    assert long_files(tmp_path) == {"long.py"}
    assert many_parameters(tmp_path) == {
        "many.py:f", "many.py:A.h", "many.py:A.s", "many.py:outer.inner",
    }  # fmt: skip
