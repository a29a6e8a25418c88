"""Published test figures with their standard errors: RMSE and mean log-likelihood (nats), in the data's units.

Gal & Ghahramani 2016, Dropout as a Bayesian Approximation, table 1 (its deviations over 20 splits as errors of the
mean); Mukhoti, Stenetorp & Gal 2018, On the Importance of Strong Baselines in Bayesian Deep Learning,
arXiv:1811.09385: hyperparameters chosen anew in each split, as in the authors' code
(github.com/yaringal/DropoutUncertaintyExps, its table of 2018).
"""

from __future__ import annotations

Figure = tuple[float, float]  # mean, standard error
DROPOUT, STRONG = "Gal & Ghahramani 2016", "Mukhoti et al. 2018"

RMSE: dict[str, dict[str, Figure]] = {
    "bostonHousing": {DROPOUT: (2.97, 0.19), STRONG: (2.90, 0.18)},
    "energy": {DROPOUT: (1.66, 0.04), STRONG: (0.54, 0.06)},
    "kin8nm": {DROPOUT: (0.10, 0.00), STRONG: (0.08, 0.00)},
    "naval-propulsion-plant": {DROPOUT: (0.01, 0.00), STRONG: (0.00, 0.00)},
    "protein-tertiary-structure": {DROPOUT: (4.36, 0.01), STRONG: (4.27, 0.02)},
    "wine-quality-red": {DROPOUT: (0.62, 0.01), STRONG: (0.62, 0.01)},
    "yacht": {DROPOUT: (1.11, 0.09), STRONG: (0.67, 0.05)},
}
LOG_LIKELIHOOD: dict[str, dict[str, Figure]] = {
    "bostonHousing": {DROPOUT: (-2.46, 0.06), STRONG: (-2.40, 0.04)},
    "energy": {DROPOUT: (-1.99, 0.02), STRONG: (-1.21, 0.01)},
    "kin8nm": {DROPOUT: (0.95, 0.01), STRONG: (1.14, 0.01)},
    "naval-propulsion-plant": {DROPOUT: (3.80, 0.01), STRONG: (4.45, 0.00)},
    "protein-tertiary-structure": {DROPOUT: (-2.89, 0.00), STRONG: (-2.87, 0.00)},
    "wine-quality-red": {DROPOUT: (-0.93, 0.01), STRONG: (-0.93, 0.01)},
    "yacht": {DROPOUT: (-1.55, 0.03), STRONG: (-1.25, 0.01)},
}
