"""Ensemble: several networks trained on the same rows from different first weights, that predict as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.network.network import SpikingNetwork
from spikebayes.prediction.conformal import Conformal
from spikebayes.prediction.predictive import Predictive, Task
from spikebayes.training.fitted import Fitted

APART = 0x9E3779B97F4A7C15  # times a member's number, on its seed: members have masks of their own


@checked
@dataclass(frozen=True, eq=False)
class Ensemble:
    """Networks whose samples are taken together, equally many of each.

    Args:
        members: at least one, all of one task, with the same inputs and outputs.
        conformal: what held-out rows tell about their prediction, see :meth:`spikebayes.Predictive.calibrate`; a
            member's own is of its prediction alone, and counts only where it is the only one.

    Raises:
        ConfigError: no member, or members that do not fit together.

    Reference:
        Lakshminarayanan, Pritzel & Blundell 2017, Simple and scalable predictive uncertainty estimation using deep
        ensembles; here each member has its dropout on.
    """

    members: tuple[Fitted, ...]
    conformal: Conformal | None = None

    def __post_init__(self) -> None:
        kinds = {(m.task, m.scaling.x_mean.shape, m.names) for m in self.members}
        if len(kinds) != 1:
            raise ConfigError(
                f"members must have one task, the same inputs and the same outputs; got {len(kinds)} kinds"
            )

    def __len__(self) -> int:
        return len(self.members)

    def networks(self, **settings: Any) -> tuple[SpikingNetwork, ...]:
        """The spiking network of each member, see :meth:`Fitted.network`."""
        return tuple(member.network(**settings) for member in self.members)

    @checked
    def predict(
        self,
        x: Tensor,
        *,
        networks: Sequence[SpikingNetwork] | None = None,
        samples: int = 100,
        seed: int = 0,
        **settings: Any,
    ) -> Predictive:
        """Samples of all members, one member's after another's.

        Args:
            x: ``[B, *shape]`` in data units.
            networks: the members' spiking networks; None samples the modules themselves.
            samples: S in all, at least one of each member.
            seed: of the masks, from which each member's is made.
            settings: as for :meth:`Fitted.predict`.

        Raises:
            ConfigError: fewer samples than members, or another number of networks.
        """
        count = len(self.members)
        if samples < count:
            raise ConfigError(f"samples must be at least {count}, one of each member; got {samples}")
        spiking = [None] * count if networks is None else list(networks)
        if len(spiking) != count:
            raise ConfigError(f"{count} members have {count} networks; got {len(spiking)}")
        made = []
        for k, (member, network) in enumerate(zip(self.members, spiking, strict=True)):
            share = samples * (k + 1) // count - samples * k // count
            own = (seed + k * APART) % (1 << 64)
            made.append(member.predict(x, network=network, samples=share, seed=own, **settings))
        if count == 1:
            return made[0] if self.conformal is None else replace(made[0], conformal=self.conformal)
        noise = None if made[0].task is Task.CLASSIFICATION else torch.cat([_noise_of_samples(p) for p in made])
        return replace(
            made[0],
            samples=torch.cat([p.samples for p in made]),
            noise_std=None,
            noise_samples=noise,
            conformal=self.conformal,
            draw=replace(made[0].draw, seed=seed),
            settings=made[0].settings | {"members": count},
        )


def _noise_of_samples(p: Predictive) -> Tensor:
    """``[S, B, C]``: members may know a noise of each row, or one for all."""
    if p.noise_samples is not None:
        return p.noise_samples
    if p.noise_std is None:
        raise ConfigError("a member knows no noise of observations; members are what fit made")
    return p.noise_std.expand(p.samples.shape)
