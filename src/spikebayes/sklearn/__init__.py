"""Estimators that fit into scikit-learn: pipelines, searches, cross-validation."""

from spikebayes.sklearn.classifier import SpikingClassifier
from spikebayes.sklearn.regressor import SpikingRegressor

__all__ = ["SpikingClassifier", "SpikingRegressor"]
