"""The exceptions: one tree, caught as what scikit-learn's users expect, whole across processes."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

import gradstep
from gradstep import errors
from gradstep.errors import (
    CacheWarning,
    CannotWrite,
    CheckpointWarning,
    ClusterLost,
    Diverged,
    GradstepError,
    GradstepWarning,
    InvalidCheckpoint,
    InvalidComponent,
    InvalidData,
    InvalidModel,
    InvalidParameter,
    InvalidTable,
    MissingPackage,
    MixedMachines,
    OldNameWarning,
    nearest,
)

TREE = {
    GradstepError: {Exception},
    InvalidParameter: {GradstepError, ValueError},
    InvalidComponent: {InvalidParameter, TypeError},
    InvalidData: {GradstepError, ValueError},
    InvalidTable: {InvalidData},
    InvalidModel: {GradstepError, ValueError},
    InvalidCheckpoint: {GradstepError, ValueError},
    GradstepWarning: {UserWarning},
    CheckpointWarning: {GradstepWarning},
    CacheWarning: {GradstepWarning, RuntimeWarning},
    OldNameWarning: {GradstepWarning, DeprecationWarning},
    CannotWrite: {GradstepError, OSError},
    ClusterLost: {GradstepError, ConnectionError},
    MissingPackage: {GradstepError, ImportError},
    MixedMachines: {GradstepError, RuntimeError},
    Diverged: {GradstepError, ArithmeticError, ValueError},
}


def make(kind):
    return Diverged("what, where, why", epoch=3) if kind is Diverged else kind("what, where, why")


def test_the_tree_is_what_the_module_draws():
    drawn = [name for name in errors.__all__ if name in errors.__doc__]
    assert drawn == errors.__all__ == sorted(kind.__name__ for kind in TREE)
    assert {kind: set(kind.__bases__) for kind in TREE} == TREE


def test_every_exception_of_the_module_is_in_the_tree():
    defined = {
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, BaseException)
    }
    assert defined == TREE.keys()


@pytest.mark.parametrize("kind", TREE)
def test_is_exported(kind):
    assert getattr(gradstep, kind.__name__) is kind


@pytest.mark.parametrize("kind", TREE)
@pytest.mark.parametrize(
    "again", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy]
)
def test_is_the_same_after_a_journey(kind, again):
    error = make(kind)
    copied = again(error)
    assert type(copied) is kind
    assert str(copied) == "what, where, why"
    assert vars(copied) == vars(error)


def test_divergence_knows_its_epoch():
    assert Diverged("too far", epoch=7).epoch == 7
    with pytest.raises(TypeError):
        Diverged("too far")


@pytest.mark.parametrize(
    "name, said",
    [
        ("hubr", " Did you mean 'huber'?"),
        ("huber", " Did you mean 'huber'?"),
        ("squared_eror", " Did you mean 'squared_error'?"),
        ("quantum", ""),
        ("quantile", " Did you mean 'pinball'?"),
        ("", ""),
        (None, ""),
        (3, ""),
    ],
)
def test_nearest_suggests_what_is_close_and_nothing_else(name, said):
    assert nearest(name, ["huber", "squared_error", "pinball"]) == said
