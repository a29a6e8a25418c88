"""Training networks that will become spiking ones: ``fit``, sharpened activations, and the revival of dead units.

``fit`` does all of it. In a Lightning loop of your own, use the callbacks here as ``fit`` does.
"""

from typing import TYPE_CHECKING

from spikebayes.machine.lazy import import_late

if TYPE_CHECKING:
    from spikebayes.training.callbacks import RandomState, trainer_settings
    from spikebayes.training.ensemble import Ensemble
    from spikebayes.training.fit import LAST_CHECKPOINT, fit
    from spikebayes.training.fitted import Fitted
    from spikebayes.training.optimizers import make_optimizer
    from spikebayes.training.revival import Revival, dead_units
    from spikebayes.training.scaling import Scaling
    from spikebayes.training.session import check_checkpoint, quiet
    from spikebayes.training.sharpening import (
        AdaptiveSharpening,
        BottomUpSharpening,
        FrozenNorms,
        Gamma,
        ScheduledSharpening,
        Sharpening,
        Sharpness,
    )

__all__ = [
    "LAST_CHECKPOINT",
    "AdaptiveSharpening",
    "BottomUpSharpening",
    "Ensemble",
    "Fitted",
    "FrozenNorms",
    "Gamma",
    "RandomState",
    "Revival",
    "Scaling",
    "ScheduledSharpening",
    "Sharpening",
    "Sharpness",
    "check_checkpoint",
    "dead_units",
    "fit",
    "make_optimizer",
    "quiet",
    "trainer_settings",
]

import_late(
    __name__,
    {
        "callbacks": ["RandomState", "trainer_settings"],
        "ensemble": ["Ensemble"],
        "fit": ["LAST_CHECKPOINT", "fit"],
        "fitted": ["Fitted"],
        "optimizers": ["make_optimizer"],
        "revival": ["Revival", "dead_units"],
        "scaling": ["Scaling"],
        "session": ["check_checkpoint", "quiet"],
        "sharpening": [
            "AdaptiveSharpening",
            "BottomUpSharpening",
            "FrozenNorms",
            "Gamma",
            "ScheduledSharpening",
            "Sharpening",
            "Sharpness",
        ],
    },
)
