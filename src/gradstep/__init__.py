"""gradstep: mini-batch gradient descent for linear models, on a table of any size.

- Estimators of arrays: `MiniBatchRegressor`, `MiniBatchClassifier`.
- Tables: `fit_table`, `TableRegressor`, `TableClassifier`; `plan`, `prepare`, `open_prepared`.
- Models of tables: `save`, `load`, `evaluate`, `predict_parts`, `report`.
- Pictures with matplotlib: `LossCurveDisplay`, `CoefficientDisplay`, `EffectDisplay`.
- Components: losses such as `Huber`, penalties such as `L1`, optimizers such as `Adam`, learning
  rates such as `Cosine`.
- Callbacks: `History`, `EarlyStopping`, `Checkpoint`, `ProgressBar`.
- Errors, each a `GradstepError`: `InvalidData`, `InvalidTable`, `InvalidParameter`, `Diverged`, ...
- Warnings, each a `GradstepWarning` with a code that `explain` explains.

Public names are loaded when they are first used, so that importing the package is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gradstep.version import VERSION

if TYPE_CHECKING:
    from gradstep.comparing.compare import compare as compare
    from gradstep.comparing.comparison import Comparison as Comparison
    from gradstep.data.preparing.prepared import PreparedTable as PreparedTable
    from gradstep.data.preparing.prepared import open_prepared as open_prepared
    from gradstep.diagnostics.catalogue import explain as explain
    from gradstep.diagnostics.diagnostic import Diagnostic as Diagnostic
    from gradstep.engine.callbacks import Callback as Callback
    from gradstep.engine.callbacks import EarlyStopping as EarlyStopping
    from gradstep.engine.callbacks import History as History
    from gradstep.engine.callbacks import ProgressBar as ProgressBar
    from gradstep.engine.checkpoint import Checkpoint as Checkpoint
    from gradstep.engine.records import EpochRecord as EpochRecord
    from gradstep.engine.records import Outcome as Outcome
    from gradstep.errors import CacheWarning as CacheWarning
    from gradstep.errors import CannotWrite as CannotWrite
    from gradstep.errors import CheckpointWarning as CheckpointWarning
    from gradstep.errors import ClusterLost as ClusterLost
    from gradstep.errors import Diverged as Diverged
    from gradstep.errors import GradstepError as GradstepError
    from gradstep.errors import GradstepWarning as GradstepWarning
    from gradstep.errors import InvalidCheckpoint as InvalidCheckpoint
    from gradstep.errors import InvalidComponent as InvalidComponent
    from gradstep.errors import InvalidData as InvalidData
    from gradstep.errors import InvalidModel as InvalidModel
    from gradstep.errors import InvalidParameter as InvalidParameter
    from gradstep.errors import InvalidTable as InvalidTable
    from gradstep.errors import MissingPackage as MissingPackage
    from gradstep.errors import MixedMachines as MixedMachines
    from gradstep.errors import OldNameWarning as OldNameWarning
    from gradstep.estimators import MiniBatchClassifier as MiniBatchClassifier
    from gradstep.estimators import MiniBatchRegressor as MiniBatchRegressor
    from gradstep.estimators.displays import CoefficientDisplay as CoefficientDisplay
    from gradstep.estimators.displays import EffectDisplay as EffectDisplay
    from gradstep.estimators.displays import LossCurveDisplay as LossCurveDisplay
    from gradstep.estimators.of_tables import TableClassifier as TableClassifier
    from gradstep.estimators.of_tables import TableRegressor as TableRegressor
    from gradstep.fit.prepare import prepare as prepare
    from gradstep.fit.table import TableFit as TableFit
    from gradstep.fit.table import fit_table as fit_table
    from gradstep.fit.table_plan import TablePlan as TablePlan
    from gradstep.fit.table_plan import plan as plan
    from gradstep.model.by_pieces import predict_parts as predict_parts
    from gradstep.model.evaluation import evaluate as evaluate
    from gradstep.model.file import load as load
    from gradstep.model.file import save as save
    from gradstep.model.model import Model as Model
    from gradstep.objective.classification import Hinge as Hinge
    from gradstep.objective.classification import LogLoss as LogLoss
    from gradstep.objective.classification import ModifiedHuber as ModifiedHuber
    from gradstep.objective.classification import OneVsRest as OneVsRest
    from gradstep.objective.classification import Perceptron as Perceptron
    from gradstep.objective.classification import Softmax as Softmax
    from gradstep.objective.classification import SquaredHinge as SquaredHinge
    from gradstep.objective.penalties import L1 as L1
    from gradstep.objective.penalties import L2 as L2
    from gradstep.objective.penalties import ElasticNet as ElasticNet
    from gradstep.objective.penalties import NoPenalty as NoPenalty
    from gradstep.objective.regression import EpsilonInsensitive as EpsilonInsensitive
    from gradstep.objective.regression import Gamma as Gamma
    from gradstep.objective.regression import Huber as Huber
    from gradstep.objective.regression import Pinball as Pinball
    from gradstep.objective.regression import Poisson as Poisson
    from gradstep.objective.regression import SquaredEpsilonInsensitive as SquaredEpsilonInsensitive
    from gradstep.objective.regression import SquaredError as SquaredError
    from gradstep.objective.regression import Tweedie as Tweedie
    from gradstep.optim.optimizers import FTRL as FTRL
    from gradstep.optim.optimizers import SGD as SGD
    from gradstep.optim.optimizers import AdaGrad as AdaGrad
    from gradstep.optim.optimizers import Adam as Adam
    from gradstep.optim.optimizers import At as At
    from gradstep.optim.optimizers import Momentum as Momentum
    from gradstep.optim.optimizers import Nesterov as Nesterov
    from gradstep.optim.optimizers import RMSprop as RMSprop
    from gradstep.optim.schedules import Adaptive as Adaptive
    from gradstep.optim.schedules import Constant as Constant
    from gradstep.optim.schedules import Cosine as Cosine
    from gradstep.optim.schedules import Exponential as Exponential
    from gradstep.optim.schedules import InvScaling as InvScaling
    from gradstep.optim.schedules import OneCycle as OneCycle
    from gradstep.optim.schedules import Optimal as Optimal
    from gradstep.optim.schedules import StepDecay as StepDecay
    from gradstep.optim.schedules import UserSchedule as UserSchedule
    from gradstep.optim.schedules import WarmUp as WarmUp
    from gradstep.optim.solvers import SVRG as SVRG
    from gradstep.optim.solvers import Exact as Exact
    from gradstep.reporting.document import Report as Report
    from gradstep.reporting.page import report as report

__version__ = VERSION

# Each module's public names; the imports above say the same to type checkers.
_HOMES = {
    "comparing.compare": "compare",
    "comparing.comparison": "Comparison",
    "data.preparing.prepared": "PreparedTable open_prepared",
    "diagnostics.catalogue": "explain",
    "diagnostics.diagnostic": "Diagnostic",
    "engine.callbacks": "Callback EarlyStopping History ProgressBar",
    "engine.checkpoint": "Checkpoint",
    "engine.records": "EpochRecord Outcome",
    "errors": "CacheWarning CannotWrite CheckpointWarning ClusterLost Diverged GradstepError "
    "GradstepWarning InvalidCheckpoint InvalidComponent InvalidData InvalidModel InvalidParameter "
    "InvalidTable MissingPackage MixedMachines OldNameWarning",
    "estimators": "MiniBatchClassifier MiniBatchRegressor",
    "estimators.displays": "CoefficientDisplay EffectDisplay LossCurveDisplay",
    "estimators.of_tables": "TableClassifier TableRegressor",
    "model.evaluation": "evaluate",
    "model.by_pieces": "predict_parts",
    "model.model": "Model",
    "model.file": "load save",
    "objective.classification": "Hinge LogLoss ModifiedHuber "
    "OneVsRest Perceptron Softmax SquaredHinge",
    "objective.penalties": "ElasticNet L1 L2 NoPenalty",
    "objective.regression": "EpsilonInsensitive Gamma Huber Pinball "
    "Poisson SquaredEpsilonInsensitive SquaredError Tweedie",
    "optim.optimizers": "FTRL SGD AdaGrad Adam At Momentum Nesterov RMSprop",
    "optim.schedules": "Adaptive Constant Cosine Exponential InvScaling "
    "OneCycle Optimal StepDecay UserSchedule WarmUp",
    "optim.solvers": "SVRG Exact",
    "reporting.document": "Report",
    "reporting.page": "report",
    "fit.prepare": "prepare",
    "fit.table": "TableFit fit_table",
    "fit.table_plan": "TablePlan plan",
}
_HOME_OF = {name: f"gradstep.{home}" for home, names in _HOMES.items() for name in names.split()}

__all__ = ["__version__", *sorted(_HOME_OF)]  # noqa: PLE0604  (names in a table, tested)


def __getattr__(name: str) -> Any:
    """Import a public name from where it lives, when it is first asked for."""
    home = _HOME_OF.get(name)
    if home is None:
        msg = f"module 'gradstep' has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
