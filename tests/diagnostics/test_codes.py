"""Codes stay what they are, and whatever gradstep notes or warns of has one."""

from __future__ import annotations

import ast
import json
import pickle
import warnings
from pathlib import Path

import pytest

import gradstep
from gradstep.diagnostics import of_fits, of_machines, of_models, of_tables
from gradstep.diagnostics.catalogue import DIAGNOSTICS, codes_of
from gradstep.diagnostics.diagnostic import Diagnostic, Note, without
from gradstep.errors import GradstepWarning, InvalidParameter

# A code that was given stays: one that is given up stays here, too, with None for its name.
GIVEN = {
    "GS001": "LEAK", "GS002": "TOO_GOOD", "GS003": "PLACEHOLDER", "GS004": "ROW_NUMBERS",
    "GS005": "MANY_CLASSES", "GS006": "PARTLY_NUMBERS", "GS007": "NUMBERS_AS_LEVELS",
    "GS008": "AMBIGUOUS_FORMAT", "GS009": "RECOGNISED_FORMAT", "GS010": "TAKEN_AS_MISSING",
    "GS011": "LACKING_COLUMN", "GS012": "OTHER_ORDER", "GS013": "NO_TARGET", "GS014": "FAR_OUT",
    "GS015": "RARE_LEVELS", "GS016": "CHOSEN_TERMS", "GS017": "RAW_EXPOSURE",
    "GS018": "IDENTIFIER",
    "GS101": "SEPARABLE", "GS102": "REJECTED_STEPS", "GS103": "CONSTANT_COLUMNS",
    "GS104": "RATE_LOWERED", "GS105": "ENDED_FAR_OFF", "GS106": "MAX_ITER", "GS107": "STALLED",
    "GS108": "INTERRUPTED", "GS109": "NOT_REFITTED", "GS110": "BOUNDS", "GS111": "ALPHA_AT_EDGE",
    "GS112": "NO_FOLDS", "GS113": "WITHOUT_EFFECT",
    "GS201": "NO_BETTER", "GS202": "OVERFITTING", "GS203": "DRIFT", "GS204": "COLLINEAR",
    "GS205": "PENALISED_INTERVALS", "GS206": "NOT_AT_OPTIMUM", "GS207": "UNDETERMINED",
    "GS208": "FEW_CLUSTERS", "GS209": "UNSEEN_MISSING", "GS210": "UNSEEN_LEVEL",
    "GS211": "SAMPLED_FIGURES", "GS212": "OLD_FILE", "GS213": "SCALED_RANDOMLY",
    "GS214": "FEW_ITERATES", "GS215": "NO_STANDARD_ERRORS", "GS216": "CLUSTERS",
    "GS217": "INTERVALS_OF_FEW",
    "GS301": "CACHE_NOT_WRITABLE", "GS302": "CACHE_NOT_TRUSTED", "GS303": "CACHE_MADE_ROOM",
    "GS304": "CHECKPOINT_DAMAGED", "GS305": "CHECKPOINT_NOT_WRITTEN", "GS306": "OLD_NAME",
}  # fmt: skip
STAGES = (of_tables, of_fits, of_models, of_machines)
PACKAGE = Path(gradstep.__file__).parent
SOURCES = {
    path.relative_to(PACKAGE).as_posix(): list(ast.walk(ast.parse(path.read_text())))
    for path in sorted(PACKAGE.rglob("*.py"))
}
OWN = {path for path in SOURCES if path.startswith("diagnostics/")}


def test_codes_stay():
    known = {
        value.code: name
        for stage in STAGES
        for name, value in vars(stage).items()
        if isinstance(value, Diagnostic)
    }
    assert known == {code: name for code, name in GIVEN.items() if name is not None}
    assert list(DIAGNOSTICS) == sorted(known)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_the_first_digit_is_that_of_the_stage(stage):
    codes = [getattr(stage, name).code for name in stage.__all__]
    assert {code[:3] for code in codes} == {f"GS{STAGES.index(stage)}"}


@pytest.mark.parametrize("each", DIAGNOSTICS.values(), ids=lambda each: each.code)
def test_every_page_says_what_why_and_what_to_do(each):
    assert not each.title.endswith(".")
    for part in (each.what, each.why, each.fix):
        assert part.endswith(".")
        assert part.count("`") % 2 == 0
        assert "  " not in part


def calls(nodes, name):
    """Yield calls of a function or method of some name."""
    for node in nodes:
        if isinstance(node, ast.Call):
            of = node.func
            if name == (of.attr if isinstance(of, ast.Attribute) else getattr(of, "id", None)):
                yield node


def test_nothing_else_warns():
    """A warning without a code is one of Python's `warnings`, which diagnostic.py alone calls."""
    users = {
        path
        for path, nodes in SOURCES.items()
        for call in calls(nodes, "warn")
        if ast.unparse(call.func) == "warnings.warn"
    }
    assert users == {"diagnostics/diagnostic.py"}


def test_notes_are_made_of_diagnostics_or_of_text_that_was_kept():
    """mypy holds the rest: where a Note is asked for, a text is not taken."""
    makers = {path for path, nodes in SOURCES.items() if any(calls(nodes, "Note"))}
    assert makers == {"cli/terminal.py", "diagnostics/diagnostic.py"}
    plain = {
        f"{path}:{node.lineno}"
        for path, nodes in SOURCES.items()
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if node.value.lower().startswith(("note: ", "warning: "))
    }
    assert plain == set()


def test_every_diagnostic_is_used():
    used = {
        node.id
        for path, nodes in SOURCES.items()
        if path not in OWN
        for node in nodes
        if isinstance(node, ast.Name)
    }
    assert used >= {name for name in GIVEN.values() if name is not None}


class TestNote:
    NOTE = of_tables.LEAK.note("Column 'x': a copy.\nOf: the target.")

    def test_is_its_text_wherever_it_goes(self):
        assert self.NOTE == "GS001: Column 'x': a copy.\nOf: the target."
        assert (self.NOTE.code, self.NOTE.text) == ("GS001", self.NOTE[7:])
        assert Note(json.loads(json.dumps(self.NOTE))).code == "GS001"
        assert pickle.loads(pickle.dumps(self.NOTE)).code == "GS001"
        assert self.NOTE.labelled() == "note [GS001]: Column 'x': a copy.\nOf: the target."
        assert self.NOTE.reworded("Else.") == "GS001: Else."

    def test_of_a_file_of_before_has_no_code(self):
        old = Note("Column 'GS001: x' is odd.")
        assert (old.code, old.text, old.labelled()) == ("", old, f"note: {old}")
        assert old.reworded("Else.") == "Else."

    def test_without_some(self):
        other = of_fits.SEPARABLE.note("They can.")
        notes = [self.NOTE, other, "plain"]
        assert without(notes, codes_of("gs001")) == [other, "plain"]
        assert without(notes, codes_of(None)) == notes


class TestIgnoring:
    @pytest.mark.parametrize("given", ["GS001,gs101", ["GS101", "GS001"], ("GS001", "GS101,")])
    def test_codes(self, given):
        assert codes_of(given) == {"GS001", "GS101"}

    def test_of_what_there_is_not(self):
        with pytest.raises(InvalidParameter, match=r"no diagnostic 'GS999'.*GS001 to GS306"):
            codes_of("GS001,GS999")
        with pytest.raises(InvalidParameter, match="Did you mean 'GS014'"):
            gradstep.explain("GS0014")

    def test_by_a_filter_of_warnings(self):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            warnings.filterwarnings("ignore", "GS101")
            of_fits.SEPARABLE.warn("They can.")
            of_tables.LEAK.warn("It does.")
        (one,) = told
        assert (one.category, one.message.code) == (GradstepWarning, "GS001")
        assert one.filename == __file__


def test_explain_is_the_page():
    found = gradstep.explain("gs001")
    assert found is of_tables.LEAK
    assert str(found).startswith("GS001: A column gives the target away\n\nA column is a copy")
    assert "\n\nWhy it matters: Such" in str(found)
    assert "\n\nWhat to do: Ask" in str(found)
