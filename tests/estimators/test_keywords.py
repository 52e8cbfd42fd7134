"""Whoever comes from SGDRegressor or SGDClassifier finds every keyword."""

from __future__ import annotations

import re
from inspect import Parameter, cleandoc, signature

import pytest
from sklearn.linear_model import SGDClassifier, SGDRegressor

from gradstep import MiniBatchClassifier, MiniBatchRegressor

PAIRS = [
    pytest.param(SGDRegressor, MiniBatchRegressor, id="regressor"),
    pytest.param(SGDClassifier, MiniBatchClassifier, id="classifier"),
]

# parameter: (theirs, ours); everything else is equal.
THE_SAME_CALL_GIVES_THE_SAME_MODEL = (None, 0)
TAKEN_FROM_THE_DATA = (0.01, None)
OTHER_DEFAULTS = {
    MiniBatchRegressor: {
        "random_state": THE_SAME_CALL_GIVES_THE_SAME_MODEL,
        "eta0": TAKEN_FROM_THE_DATA,
        "learning_rate": ("invscaling", "auto"),
    },
    MiniBatchClassifier: {
        "random_state": THE_SAME_CALL_GIVES_THE_SAME_MODEL,
        "eta0": TAKEN_FROM_THE_DATA,
        "learning_rate": ("optimal", "auto"),
        "loss": ("hinge", "log_loss"),  # probabilities at once
    },
}


def parameters(function):
    return {name: p for name, p in signature(function).parameters.items() if name != "self"}


@pytest.mark.parametrize("theirs, ours", PAIRS)
def test_every_parameter_is_taken_in_the_same_way(theirs, ours):
    asked, given = parameters(theirs.__init__), parameters(ours.__init__)
    assert asked.keys() <= given.keys()
    assert {name: given[name].kind for name in asked} == {name: p.kind for name, p in asked.items()}


@pytest.mark.parametrize("theirs, ours", PAIRS)
def test_defaults_differ_only_where_it_is_documented(theirs, ours):
    asked, given = parameters(theirs.__init__), parameters(ours.__init__)
    differing = {
        name: (asked[name].default, given[name].default)
        for name in asked
        if asked[name].default != given[name].default
    }
    assert differing == OTHER_DEFAULTS[ours]


@pytest.mark.parametrize("theirs, ours", PAIRS)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_methods_take_the_same_arguments_in_the_same_places(theirs, ours, method):
    asked, given = parameters(getattr(theirs, method)), parameters(getattr(ours, method))
    names = list(asked)
    assert list(given)[: len(names)] == names
    defaults = {name: given[name].default for name in asked}
    if method == "fit":
        assert defaults.pop("y") is None  # a prepared table comes alone
        asked.pop("y")
    assert defaults == {name: asked[name].default for name in asked}
    further = [given[name] for name in list(given)[len(names) :]]
    assert all(p.default is None for p in further)


@pytest.mark.parametrize("theirs, ours", PAIRS)
def test_every_public_method_is_there(theirs, ours):
    public = [name for name in dir(theirs) if not name.startswith("_")]
    assert {name for name in public if callable(getattr(theirs, name))} <= set(dir(ours))


@pytest.mark.parametrize("ours", OTHER_DEFAULTS)
def test_an_unknown_keyword_is_a_type_error(ours):
    with pytest.raises(TypeError, match="unexpected keyword argument 'momentum'"):
        ours(momentum=0.9)


@pytest.mark.parametrize("ours", OTHER_DEFAULTS)
def test_only_the_loss_is_taken_by_position(ours):
    kinds = {name: p.kind for name, p in parameters(ours.__init__).items()}
    assert kinds.pop("loss") is Parameter.POSITIONAL_OR_KEYWORD
    assert set(kinds.values()) == {Parameter.KEYWORD_ONLY}


def documented(cls, section):
    """Return the names that a section of a class's docstring describes."""
    text = re.split(r"\n([A-Z][A-Za-z ]+)\n-+\n", cleandoc(cls.__doc__))
    body = dict(zip(text[1::2], text[2::2], strict=True))[section]
    heads = re.findall(r"^(\w[\w, ]*?)(?: :.*)?$", body, flags=re.MULTILINE)
    return {name for head in heads for name in head.split(", ")}


@pytest.mark.parametrize("ours", OTHER_DEFAULTS)
def test_every_parameter_is_documented(ours):
    assert documented(ours, "Parameters") == parameters(ours.__init__).keys()


@pytest.mark.parametrize("ours", OTHER_DEFAULTS)
def test_every_fitted_attribute_is_documented(ours, two_classes):
    model = ours(max_iter=1, tol=None).fit(*two_classes)
    fitted = {name for name in dir(model) if name.endswith("_") and not name.startswith("_")}
    assert fitted | {"feature_names_in_"} == documented(ours, "Attributes")
