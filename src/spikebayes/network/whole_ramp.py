"""ReLU and similar ramps on whole numbers: how many of a neuron's units its input holds, rounded."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.network.coded import Response
from spikebayes.network.vocabulary import stored


@stored
@checked
@dataclass(frozen=True, eq=False)
class WholeRamp(Response):
    """:class:`Ramp` for neurons whose input is a whole number, of which ``unit`` is worth 1 of the number they send.

    Number k from (k - 1/2) unit on: 2 x >= (2 k - 1) unit, a comparison of whole numbers; subtracting k unit from the
    sum after each spike decides alike.

    Args:
        unit: whole, ``[*shape]`` or shaped to broadcast against it; or 1 over a power of two: then x shifted left is
            the sum.
        below: the same for inputs below 0; its sign is that of LeakyReLU's slope. None is silent there (ReLU).
        limit: number at which the activation itself ends (ReLU6), as of a ramp; None where it goes on.

    Raises:
        ConfigError: units that are neither whole numbers nor 1 over a power of two, or not positive.

    Example:
        >>> x = torch.tensor([-9.0, 4.0, 5.0, 14.0, 15.0])
        >>> WholeRamp(torch.tensor(10.0)).numbers(x).tolist()
        [0.0, 0.0, 1.0, 1.0, 2.0]
    """

    unit: Tensor
    below: Tensor | None = None
    limit: Tensor | None = None

    def __post_init__(self) -> None:
        for name, values in (("unit", self.unit), ("below", self.below)):
            if values is not None and not _holds_units(values):
                raise ConfigError(f"{name} must hold whole numbers other than 0, or 1 over powers of two")
        if not bool((self.unit > 0).all()):
            raise ConfigError(f"unit must be positive; got {float(self.unit.min()):g}")

    @property
    def signed(self) -> bool:
        return self.below is not None

    def numbers(self, x: Tensor) -> Tensor:
        size, sign = self._of(x)
        unit = self.unit_of(x)
        found = torch.floor((2 * size + unit) / (2 * unit))  # whole, below 2^53: exact
        if self.limit is not None:
            found = torch.minimum(found, self.limit.to(found))
        return (sign * found).to(x.dtype)

    def reaches(self, x: Tensor, level: Tensor) -> Tensor:
        return 2 * self._of(x)[0] >= (2 * level.double() - 1) * self.unit_of(x)

    def _of(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Magnitude, 0 where it is silent, and the sign of the number."""
        x = x.double()
        if self.below is None:
            return x.clamp(min=0), torch.ones_like(x)
        return x.abs(), torch.where(x < 0, -torch.sign(self.below.to(x)), torch.ones_like(x))

    def unit_of(self, x: Tensor) -> Tensor:
        """Value of 1 of each input's number, in units of the sum, float64."""
        unit = self.unit.to(x.device, torch.float64)
        return unit if self.below is None else torch.where(x < 0, self.below.to(unit).abs(), unit)


def _holds_units(values: Tensor) -> bool:
    """Whether all are whole numbers, or powers of two below 1, of either sign and not 0."""
    if values.is_complex():
        return False
    size = values.double().abs()
    halves = torch.frexp(size).mantissa == 0.5
    return bool((((size == size.round()) | halves) & (size > 0) & size.isfinite()).all())
