"""Conformal: calibration by held-out rows, so that intervals and sets have the coverage they claim.

Split conformal prediction (Vovk et al. 2005; Lei et al. 2018): if the calibration rows and a new row are exchangeable
(from the same distribution, in any order) and the model never saw either, an interval at coverage p contains the new
observation with a probability of at least p over the draw of both and, with n calibration rows without ties, of at
most p + 1/(n + 1). It says nothing about single rows, nor about rows from another distribution.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from spikebayes.errors import ConfigError, DataError, SpikebayesError, StoreError
from spikebayes.machine.arguments import checked
from spikebayes.machine.fields import check_fields

ROUNDING = 8  # last places of float64 by which an end may be off
Method = Literal["scaled", "quantile", "sets"]


@checked
@dataclass(frozen=True, eq=False)
class Conformal:
    """What calibration keeps of held-out rows; made by :meth:`Predictive.calibrate`, stored by :meth:`to_dict`.

    Args:
        method: ``"scaled"``: residuals in standard deviations of their rows (regression); ``"quantile"``: how far
            observations lie outside predicted quantiles; ``"sets"``: for classes.
        scores: ``[n, C]`` (``[n, 1]`` of classes), by the method.
        errors: ``[n, C]``, observation - mean; of classes ``[n, 1]``, 1 where the most probable one is wrong, else 0.
        spread: ``[n, C]``, the rows' standard deviations; of classes ``[n, 1]``, 1 - largest probability.
        information: ``[n]``, how far samples disagree (nats), see :attr:`Predictive.mutual_information`.
        settings: of the method: ``noise`` of values, 1 where the spread has the noise of observations in it, else 0
            (of files from before, nothing); ``coverage`` of quantiles; ``penalty``, ``free`` and ``u`` of sets.

    Raises:
        DataError: numbers that do not fit together, or no rows.
    """

    method: Method
    scores: Tensor
    errors: Tensor
    spread: Tensor
    information: Tensor
    settings: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = self.scores.shape
        fits = self.scores.ndim == 2 and self.errors.shape == self.spread.shape == shape and 0 not in shape
        if not fits or self.information.shape != shape[:1]:
            found = [list(part.shape) for part in (self.scores, self.errors, self.spread, self.information)]
            raise DataError(f"calibration needs scores, errors and spread [n, C] and information [n]; got {found}")
        for name in self._numbers():
            if not bool(getattr(self, name).isfinite().all()):
                raise DataError(f"calibration needs finite numbers; {name} are not")

    def __repr__(self) -> str:
        return f"Conformal({self.method}, {self.rows} rows)"

    @property
    def rows(self) -> int:
        """Number of calibration rows."""
        return len(self.scores)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self) | {name: getattr(self, name).tolist() for name in self._numbers()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Conformal:
        """What :meth:`to_dict` made.

        Raises:
            StoreError: something is missing, or of another kind.
        """
        try:
            numbers = {name: torch.tensor(stored[name], dtype=torch.float64) for name in cls._numbers()}
            parts: dict[str, Any] = {"method": stored["method"], "settings": stored["settings"]} | numbers
            check_fields(cls, parts)
            return cls(**parts)
        except (KeyError, TypeError, ValueError, AttributeError, SpikebayesError) as error:
            raise StoreError(f"the stored calibration is damaged: {error}") from error

    @staticmethod
    def _numbers() -> tuple[str, ...]:
        return ("scores", "errors", "spread", "information")


def scaled_interval(known: Conformal, mean: Tensor, std: Tensor, coverage: float) -> tuple[Tensor, Tensor]:
    """mean -+ k std, with k the ceil((n + 1) coverage)-th smallest of the n scaled residuals' sizes.

    Where n is too small for that, k is the largest of them, or a normal's where that is larger.

    Reference:
        Lei et al. 2018, section 5.2 (locally weighted split conformal).
    """
    sizes = (known.errors / known.spread).abs()
    place = rank(known.rows, coverage)
    k = sizes.sort(0).values[place - 1]  # [C]
    if short_of(known.rows, coverage):
        k = k.clamp(min=ndtri((1 + coverage) / 2))
    return mean - k * std, mean + k * std


def scaled_quantile(known: Conformal, mean: Tensor, std: Tensor, q: float) -> Tensor:
    """mean + z std, with z from the n signed residuals: rank ceil((n + 1) q) above the median, floor below it.

    So P(Y <= quantile) is at least q for q > 1/2, and P(Y < quantile) at most q for q < 1/2.

    Reference:
        Vovk et al. 2019, Nonparametric predictive distributions based on conformal prediction.
    """
    signed, upper = (known.errors / known.spread).sort(0).values, q > 0.5
    if q == 0.5:
        return mean + signed.quantile(0.5, dim=0) * std
    side = signed if upper else -signed.flip(0)  # the lower tail is the upper one of what is mirrored
    place = rank(known.rows, max(q, 1 - q))
    z = side[place - 1]
    if short_of(known.rows, max(q, 1 - q)):
        z = z.clamp(min=ndtri(max(q, 1 - q)))
    return mean + (z if upper else -z) * std


def quantile_interval(known: Conformal, lower: Tensor, upper: Tensor, coverage: float) -> tuple[Tensor, Tensor]:
    """Predicted quantiles, moved apart (or together) by the score max(lower - y, y - upper) of rank as above.

    Reference:
        Romano, Patterson & Candes 2019, Conformalized quantile regression, eq. 6 to 8.
    """
    if coverage != known.settings["coverage"]:
        raise ConfigError(
            f"these quantiles were calibrated at coverage {known.settings['coverage']:g}; {coverage:g} was asked: "
            "calibrate with that coverage, or with method='scaled', which serves any"
        )
    short_of(known.rows, coverage)
    by = known.scores.sort(0).values[rank(known.rows, coverage) - 1]
    middle = (lower + upper) / 2
    return torch.minimum(lower - by, middle), torch.maximum(upper + by, middle)


def rounded_outward(ends: Tensor, middle: Tensor, dtype: torch.dtype, *, up: bool = True) -> Tensor:
    """Ends of intervals as numbers of a type, none of them further inside than they were.

    A calibration row's observation may be an end itself, and so may a new one where predictions and observations
    take few values; rounding must not shut it out.

    Args:
        ends: as they were worked out.
        middle: what they are a sum of and something else, each of which is off by its own last places: an end at 0
            is off by as much as they are.
        dtype: of the numbers. up: whether outward is up.

    Example:
        >>> end = torch.tensor([0.1], dtype=torch.float64)  # float32 has no such number, the nearest is larger
        >>> [rounded_outward(end, end, torch.float32, up=up).item() for up in (True, False)]
        [0.10000000149011612, 0.09999999403953552]
    """
    outward = ROUNDING * torch.finfo(torch.float64).eps * (ends.double().abs() + middle.double().abs())
    exact = ends.double() + (outward if up else -outward)
    found = exact.to(dtype)
    inside = found.double() < exact if up else found.double() > exact
    way = torch.full_like(found, math.inf if up else -math.inf)
    return torch.where(inside, torch.nextafter(found, way), found)


def rank(rows: int, coverage: float) -> int:
    """Of the score that a new row's exceeds with probability 1 - coverage or less, from 1; at most the last.

    Example:
        >>> rank(99, 0.9), rank(9, 0.9), rank(8, 0.9)
        (90, 9, 8)
    """
    return min(rows, max(1, math.ceil(round((rows + 1) * coverage, 9))))


def short_of(rows: int, coverage: float) -> bool:
    """Whether so few rows guarantee no such coverage; then who asks is told so, once for each call."""
    if round((rows + 1) * coverage, 9) <= rows:
        return False
    needed = math.ceil(round(coverage / (1 - coverage), 9))
    warnings.warn(
        f"{rows} calibration rows guarantee a coverage of {rows / (rows + 1):.3g} at most, and {coverage:g} was "
        f"asked: what is given is the widest that they support, without the guarantee; calibrate on {needed} rows or "
        "more",
        stacklevel=5,
    )
    return True


def check_coverage(coverage: float) -> None:
    """Refuse what is no share of observations (ConfigError)."""
    if not 0 < coverage < 1:
        raise ConfigError(f"an interval's coverage must lie in (0, 1), as 0.9; got {coverage}")


def check_noise(calibration: Conformal, known: bool) -> None:
    """Refuse predictions that know the noise of observations where the calibration rows' did not, or otherwise.

    Args:
        calibration: of values; one of before, which does not say, is taken.
        known: whether the predictions know it.

    Raises:
        ConfigError: their standard deviations are not of the same thing.
    """
    noise = calibration.settings.get("noise")
    if noise is None or bool(noise) is known:
        return
    if known:
        raise ConfigError(
            "these predictions know the noise of observations, and those that the calibration was made of did not: "
            "calibrate predictions that have this noise_std, or leave it out here too"
        )
    raise ConfigError(
        "the calibration was made of predictions that knew the noise of observations, and these do not, so that "
        "intervals would be too narrow: give noise_std here too, as there, or calibrate predictions without it"
    )


def outlier_pvalues(known: Conformal, information: Tensor) -> Tensor:
    """``[B]``, (1 + how many calibration rows disagree as much) / (n + 1): P(p <= t) <= t for rows like these.

    Reference:
        Bates et al. 2023, Testing for outliers with conformal p-values, eq. 2.
    """
    ordered = np.sort(known.information.double().numpy())
    above = len(ordered) - np.searchsorted(ordered, information.double().numpy(), side="left")
    return torch.from_numpy((1 + above) / (known.rows + 1))
