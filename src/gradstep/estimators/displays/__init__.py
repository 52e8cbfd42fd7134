"""Pictures of fits with matplotlib, in scikit-learn's manner; it is imported when one is drawn."""

from gradstep.estimators.displays.coefficients import CoefficientDisplay
from gradstep.estimators.displays.effect import EffectDisplay
from gradstep.estimators.displays.loss_curve import LossCurveDisplay

__all__ = ["CoefficientDisplay", "EffectDisplay", "LossCurveDisplay"]
