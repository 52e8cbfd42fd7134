"""Estimators of tables: columns of all kinds in, the model of `gradstep train` out."""

from gradstep.estimators.of_tables.classifier import TableClassifier
from gradstep.estimators.of_tables.regressor import TableRegressor

__all__ = ["TableClassifier", "TableRegressor"]
