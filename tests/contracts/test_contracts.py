"""A component without a case, a docstring, an export, a name or documentation fails here.

How to add one is in CONTRIBUTING.md. Each contract is shown to fail on a class that keeps none
of them.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from gradstep.engine import callbacks
from gradstep.objective import penalties, regression
from gradstep.optim import optimizers, schedules
from gradstep.rows import layouts as rows
from tests.contracts.nouns import CALLBACK_HOOKS, DUTIES, NOUNS, _docstring, _shown_in, classes_of

HOMES = {
    "loss": (regression, ("value", "slope")),
    "penalty": (penalties, ("value", "prox")),
    "optimizer": (optimizers, ("n_slots", "step")),
    "schedule": (schedules, ("rates",)),
    "row layout": (rows, ("tile_scores", "add_gradient")),
    "callback": (callbacks, CALLBACK_HOOKS[1:2]),
}
every_noun = pytest.mark.parametrize("noun", NOUNS.values(), ids=lambda noun: noun.name)
every_duty = pytest.mark.parametrize(
    "noun, duty",
    [
        pytest.param(noun, duty, id=f"{noun.name}-{duty}")
        for noun in NOUNS.values()
        for duty in noun.duties
    ],
)


@every_duty
def test_every_component_keeps_its_contract(noun, duty):
    assert DUTIES[duty](noun, classes_of(noun)) == []


@every_noun
def test_every_case_is_of_a_class_that_is_there(noun):
    assert set(noun.cases) == set(classes_of(noun))


@pytest.mark.parametrize("noun", [n for n in NOUNS.values() if n.names], ids=lambda n: n.name)
def test_every_name_is_that_of_one_case(noun):
    assert sorted(case.name for case in noun.cases.values() if case.name) == sorted(noun.names)


# --- the contracts can fail ---------------------------------------------------------------


@pytest.fixture
def intruder(noun, monkeypatch):
    """Put a class of a noun, with nothing else to its credit, into a module of the package."""
    module, methods = HOMES[noun.name]
    if noun.name == "callback":

        class Intruder:
            pass
    else:

        class Intruder(NamedTuple):
            strength: float

    for method in methods:
        setattr(Intruder, method, lambda *_: 0.0)
    Intruder.__module__ = module.__name__
    monkeypatch.setattr(module, "Intruder", Intruder, raising=False)
    return Intruder


@every_noun
def test_a_new_class_is_found(noun, intruder):
    assert intruder in classes_of(noun)


@every_duty
def test_a_new_class_that_keeps_no_contract_fails_each(noun, duty, intruder):
    assert DUTIES[duty](noun, classes_of(noun)) == ["Intruder"]


def test_protocols_and_what_users_never_see_are_no_components():
    names = {cls.__name__ for noun in NOUNS.values() for cls in classes_of(noun)}
    assert not names & {"Callback", "Callbacks", "Loss", "Penalty", "Optimizer", "Schedule", "Rows"}


def test_a_docstring_that_named_tuple_made_up_is_none():
    class Made(NamedTuple):
        up: float

    assert Made.__doc__ == "Made(up,)"
    assert not _docstring(Made)
    assert _docstring(regression.Huber)


def test_only_names_in_code_count_as_documentation():
    assert _shown_in("the `Huber` loss", "Huber")
    assert _shown_in('```python\nfit(loss="huber")\n```', "huber")
    assert not _shown_in("Huber was a statistician", "Huber")
    assert not _shown_in("the `HuberLoss` of others", "Huber")


def test_a_hyper_parameter_that_the_docstring_leaves_out_is_missed():
    class Half(NamedTuple):
        """A half of what is said."""

        said: float
        unsaid: float

    assert DUTIES["docstring"](NOUNS["loss"], [Half]) == ["Half"]
