"""Estimators for scikit-learn, for use in pipelines, searches and cross-validation."""

from typing import TYPE_CHECKING

from spikebayes.machine.lazy import import_late

if TYPE_CHECKING:
    from spikebayes.sklearn.classifier import SpikingClassifier
    from spikebayes.sklearn.regressor import SpikingRegressor

__all__ = ["SpikingClassifier", "SpikingRegressor"]

import_late(__name__, {"classifier": ["SpikingClassifier"], "regressor": ["SpikingRegressor"]})
