"""What a network's outputs mean."""

from __future__ import annotations

from enum import StrEnum

from spikebayes.errors import ConfigError
from spikebayes.machine.choices import unknown


class Task(StrEnum):
    """What a network's outputs mean: real-valued targets, or one logit per class."""

    REGRESSION = "regression"
    CLASSIFICATION = "classification"

    @classmethod
    def _missing_(cls, value: object) -> Task:
        raise ConfigError(unknown("task", value, cls))
