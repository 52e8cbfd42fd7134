"""The table of losses: for each class its formula, written a second time, and its peers.

Formulas are in `decimal` with 100 digits: they overflow nowhere, and differences of them are
slopes to 50 digits. A loss that is not in the table fails `test_contracts.py`; one that is goes
through the tests of `tests/objective` that take every loss.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Context, Decimal, localcontext
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn._loss import (
    HalfBinomialLoss,
    HalfGammaLoss,
    HalfMultinomialLoss,
    HalfPoissonLoss,
    HalfSquaredError,
    HalfTweedieLoss,
    HuberLoss,
    PinballLoss,
)
from sklearn.linear_model import _sgd_fast as sgd

from gradstep.objective import classification, regression

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["JOINT_LOSSES", "LOSSES", "JointCase", "LossCase", "exactly"]

SIGNS = (-1.0, 1.0)
REALS = (-3.0, -0.25, 0.0, 1.5, 25.0)


@dataclass(frozen=True)
class LossCase:
    """How a loss of one score is tested.

    `formula(loss, y, z)` takes and returns decimals; `kinks(loss, y)` are the scores at which the
    slope jumps or bends; `peer(loss)` returns scikit-learn's (value, slope) functions of arrays;
    `refused` has a wrong value for each hyper-parameter; `wrong_targets` lie outside the range.
    """

    losses: tuple[Any, ...]
    formula: Callable[[Any, Decimal, Decimal], Decimal]
    targets: tuple[float, ...]
    peer: Callable[[Any], tuple[Callable[..., Any], Callable[..., Any]]]
    kinks: Callable[[Any, float], tuple[float, ...]] = lambda *_: ()
    wrong_targets: tuple[float, ...] = ()
    bounded_curvature: bool = True
    name: str = ""
    unnamed: str = ""
    refused: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class JointCase:
    """How a loss of several scores is tested; `formula(loss, y, scores)` as above."""

    losses: tuple[Any, ...]
    formula: Callable[[Any, int, list[Decimal]], Decimal]
    peer: Callable[[Any, int], tuple[Callable[..., Any], Callable[..., Any]]]
    kinks: Callable[[Any], tuple[float, ...]] = lambda _: ()
    name: str = ""
    unnamed: str = ""
    refused: dict[str, Any] = field(default_factory=dict)


def exactly(formula: Callable[..., Decimal], loss: Any, y: float, *scores: float) -> Decimal:
    """Evaluate a formula for floats."""
    with localcontext(Context(prec=100, Emax=10**9, Emin=-(10**9))):
        return +formula(loss, Decimal(y), *(Decimal(z) for z in scores))


def _number(x: float) -> Decimal:
    return Decimal(float(x))


def _log1p(u: Decimal) -> Decimal:
    return u - u * u / 2 if abs(u) < Decimal("1e-40") else (1 + u).ln()


def _huber(loss: Any, y: Decimal, z: Decimal) -> Decimal:
    r, epsilon = abs(y - z), _number(loss.epsilon)
    return r * r / 2 if r <= epsilon else epsilon * (r - epsilon / 2)


def _pinball(loss: Any, y: Decimal, z: Decimal) -> Decimal:
    q = _number(loss.quantile)
    return q * (y - z) if z <= y else (1 - q) * (z - y)


def _excess(loss: Any, y: Decimal, z: Decimal) -> Decimal:
    return max(Decimal(0), abs(y - z) - _number(loss.epsilon))


def _tweedie(loss: Any, y: Decimal, z: Decimal) -> Decimal:
    power = _number(loss.power)
    if power == 1:
        return z.exp() - y * z
    if power == 2:
        return z + y * (-z).exp()
    return ((2 - power) * z).exp() / (2 - power) - y * ((1 - power) * z).exp() / (1 - power)


def _modified_huber(_: Any, y: Decimal, z: Decimal) -> Decimal:
    return max(Decimal(0), 1 - y * z) ** 2 if y * z >= -1 else -4 * y * z


def _logistic(_: Any, y: Decimal, z: Decimal) -> Decimal:
    return _log1p((-y * z).exp())


def _half(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the value and slope of one of scikit-learn's GLM losses."""

    def peer(loss: Any) -> Any:
        half = make(loss)
        return (
            lambda y, z: half.loss(y_true=y, raw_prediction=z),
            lambda y, z: half.gradient(y_true=y, raw_prediction=z),
        )

    return peer


def _binomial(_: Any) -> Any:
    half = HalfBinomialLoss()

    def value(y: Any, z: Any) -> Any:
        return half.loss(y_true=(y > 0.0).astype(float), raw_prediction=z)

    def slope(y: Any, z: Any) -> Any:
        return half.gradient(y_true=(y > 0.0).astype(float), raw_prediction=z)

    return value, slope


def _sgd(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the value and slope of one of SGDClassifier's or SGDRegressor's losses."""

    def peer(loss: Any) -> Any:
        theirs = make(loss)  # takes (prediction, target)
        return (
            np.vectorize(lambda y, z: theirs.py_loss(z, y), otypes=[float]),
            np.vectorize(lambda y, z: theirs.py_dloss(z, y), otypes=[float]),
        )

    return peer


def _margins(*margins: float) -> Callable[[Any, float], tuple[float, ...]]:
    return lambda _, y: tuple(margin / y for margin in margins)


def _tube(loss: Any, y: float) -> tuple[float, ...]:
    return y - loss.epsilon, y + loss.epsilon


LOSSES: dict[type, LossCase] = {
    regression.SquaredError: LossCase(
        losses=(regression.SquaredError(),),
        formula=lambda _, y, z: (z - y) ** 2 / 2,
        targets=REALS,
        peer=_half(lambda _: HalfSquaredError()),
        name="squared_error",
    ),
    regression.Huber: LossCase(
        losses=(regression.Huber(0.1), regression.Huber(1.35)),
        formula=_huber,
        targets=REALS,
        peer=_half(lambda loss: HuberLoss(delta=loss.epsilon)),
        kinks=_tube,
        name="huber",
        refused={"epsilon": -0.1},
    ),
    regression.EpsilonInsensitive: LossCase(
        losses=(regression.EpsilonInsensitive(0.5), regression.EpsilonInsensitive(0.0)),
        formula=_excess,
        targets=REALS,
        peer=_sgd(lambda loss: sgd.EpsilonInsensitive(loss.epsilon)),
        kinks=_tube,
        bounded_curvature=False,
        name="epsilon_insensitive",
        refused={"epsilon": float("nan")},
    ),
    regression.SquaredEpsilonInsensitive: LossCase(
        losses=(
            regression.SquaredEpsilonInsensitive(0.5),
            regression.SquaredEpsilonInsensitive(0.0),
        ),
        formula=lambda loss, y, z: _excess(loss, y, z) ** 2,
        targets=REALS,
        peer=_sgd(lambda loss: sgd.SquaredEpsilonInsensitive(loss.epsilon)),
        kinks=_tube,
        name="squared_epsilon_insensitive",
        refused={"epsilon": float("inf")},
    ),
    regression.Pinball: LossCase(
        losses=(regression.Pinball(0.5), regression.Pinball(0.25), regression.Pinball(0.9)),
        formula=_pinball,
        targets=REALS,
        peer=_half(lambda loss: PinballLoss(quantile=loss.quantile)),
        kinks=lambda _, y: (y,),
        bounded_curvature=False,
        name="pinball",
        refused={"quantile": 1.0},
    ),
    regression.Poisson: LossCase(
        losses=(regression.Poisson(),),
        formula=lambda _, y, z: z.exp() - y * z,
        targets=(0.0, 0.5, 2.0, 300.0),
        wrong_targets=(-1.0, -1e-300),
        peer=_half(lambda _: HalfPoissonLoss()),
        bounded_curvature=False,
        name="poisson",
    ),
    regression.Gamma: LossCase(
        losses=(regression.Gamma(),),
        formula=lambda _, y, z: z + y * (-z).exp(),
        targets=(0.01, 1.0, 300.0),
        wrong_targets=(-1.0, 0.0),
        peer=_half(lambda _: HalfGammaLoss()),
        bounded_curvature=False,
        name="gamma",
    ),
    regression.Tweedie: LossCase(
        losses=tuple(regression.Tweedie(power) for power in (1.0, 1.1, 1.5, 1.9, 2.0, 3.0)),
        formula=_tweedie,
        targets=(0.01, 1.0, 300.0),  # and 0 below power 2: test_zero_is_a_target_of_tweedie
        wrong_targets=(-1.0,),
        peer=_half(lambda loss: HalfTweedieLoss(power=loss.power)),
        bounded_curvature=False,
        name="tweedie",
        refused={"power": 0.5},
    ),
    classification.LogLoss: LossCase(
        losses=(classification.LogLoss(),),
        formula=_logistic,
        targets=SIGNS,
        peer=_binomial,
        name="log_loss",
    ),
    classification.Hinge: LossCase(
        losses=(classification.Hinge(),),
        formula=lambda _, y, z: max(Decimal(0), 1 - y * z),
        targets=SIGNS,
        peer=_sgd(lambda _: sgd.Hinge(1.0)),
        kinks=_margins(1.0),
        bounded_curvature=False,
        name="hinge",
    ),
    classification.SquaredHinge: LossCase(
        losses=(classification.SquaredHinge(),),
        formula=lambda _, y, z: max(Decimal(0), 1 - y * z) ** 2,
        targets=SIGNS,
        peer=_sgd(lambda _: sgd.SquaredHinge(1.0)),
        kinks=_margins(1.0),
        name="squared_hinge",
    ),
    classification.ModifiedHuber: LossCase(
        losses=(classification.ModifiedHuber(),),
        formula=_modified_huber,
        targets=SIGNS,
        peer=_sgd(lambda _: sgd.ModifiedHuber()),
        kinks=_margins(1.0, -1.0),
        name="modified_huber",
    ),
    classification.Perceptron: LossCase(
        losses=(classification.Perceptron(),),
        formula=lambda _, y, z: max(Decimal(0), -y * z),
        targets=SIGNS,
        peer=_sgd(lambda _: sgd.Hinge(0.0)),
        kinks=_margins(0.0),
        bounded_curvature=False,
        name="perceptron",
    ),
}


def _softmax(_: Any, y: Decimal, *z: Decimal) -> Decimal:
    # log of the sum of exp(z_c - z_y), its own term taken out: exact however far apart
    own = int(y)
    return _log1p(sum((v - z[own]).exp() for c, v in enumerate(z) if c != own))


def _one_vs_rest(loss: Any, y: Decimal, *z: Decimal) -> Decimal:
    formula = LOSSES[type(loss.loss)].formula
    return sum(formula(loss.loss, Decimal(1 if c == y else -1), v) for c, v in enumerate(z))


def _multinomial(_: Any, k: int) -> Any:
    half = HalfMultinomialLoss(n_classes=k)
    return (
        lambda y, z: half.loss(y_true=y, raw_prediction=z),
        lambda y, z: half.gradient(y_true=y, raw_prediction=z),
    )


def _each_against_the_rest(loss: Any, k: int) -> Any:
    value, slope = LOSSES[type(loss.loss)].peer(loss.loss)
    return (
        lambda y, z: (
            value(np.where(np.arange(k) == y[:, None], 1.0, -1.0).ravel(), z.ravel())
            .reshape(z.shape)
            .sum(axis=1)
        ),
        lambda y, z: slope(
            np.where(np.arange(k) == y[:, None], 1.0, -1.0).ravel(), z.ravel()
        ).reshape(z.shape),
    )


JOINT_LOSSES: dict[type, JointCase] = {
    classification.Softmax: JointCase(
        losses=(classification.Softmax(),),
        formula=_softmax,
        peer=_multinomial,
        unnamed="what 'log_loss' becomes for more than two classes",
    ),
    classification.OneVsRest: JointCase(
        losses=(
            classification.OneVsRest(classification.LogLoss()),
            classification.OneVsRest(classification.Hinge()),
        ),
        formula=_one_vs_rest,
        peer=_each_against_the_rest,
        kinks=lambda loss: () if isinstance(loss.loss, classification.LogLoss) else (1.0, -1.0),
        unnamed="what any loss of two classes becomes for more than two",
        refused={"loss": classification.Hinge},
    ),
}
