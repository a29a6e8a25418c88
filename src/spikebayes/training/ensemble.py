"""Ensemble: several networks trained on the same rows from different initial weights, that predict together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.machine.numbers import check_count
from spikebayes.network.network import SpikingNetwork
from spikebayes.prediction.conformal import Conformal
from spikebayes.prediction.predictive import Predictive
from spikebayes.prediction.sampling import MaskScope
from spikebayes.prediction.task import Task
from spikebayes.training.calibration_rows import SHARE, set_apart
from spikebayes.training.fit import LAST_CHECKPOINT, fit
from spikebayes.training.fitted import SAMPLES, Fitted
from spikebayes.training.weighting import check_weights, that_count

APART = 0x9E3779B97F4A7C15  # times a member's number, on its seed: members have masks of their own


@checked
@dataclass(frozen=True, eq=False)
class Ensemble:
    """Networks whose samples are pooled, equally many from each.

    Args:
        members: at least one, all of one task, with the same inputs and outputs.
        conformal: calibration of their joint prediction on held-out rows, see
            :meth:`spikebayes.Predictive.calibrate`; a member's own calibration is used only if it is the only member.

    Raises:
        ConfigError: no member, or members that do not fit together.

    Reference:
        Lakshminarayanan, Pritzel & Blundell 2017, Simple and scalable predictive uncertainty estimation using deep
        ensembles; here each member keeps its dropout on.
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

    def network(self, **settings: Any) -> tuple[SpikingNetwork, ...]:
        """The spiking network of each member, see :meth:`Fitted.network`."""
        return tuple(member.network(**settings) for member in self.members)

    @checked
    def predict(
        self,
        x: Tensor,
        *,
        network: Sequence[SpikingNetwork] | None = None,
        samples: int = 100,
        seed: int = 0,
        **settings: Any,
    ) -> Predictive:
        """Samples of all members, one member's after another's.

        Args:
            x: ``[B, *shape]`` in data units.
            network: the members' spiking networks; None samples the modules themselves.
            samples: S in total, at least one of each member.
            seed: of the masks, from which each member's is made.
            settings: as for :meth:`Fitted.predict`.

        Raises:
            ConfigError: fewer samples than members, or another number of networks.
        """
        count = len(self.members)
        if samples < count:
            raise ConfigError(f"samples must be at least {count}, one of each member; got {samples}")
        spiking = [None] * count if network is None else list(network)
        if len(spiking) != count:
            raise ConfigError(f"{count} members have {count} networks; got {len(spiking)}")
        made = []
        for k, (member, own) in enumerate(zip(self.members, spiking, strict=True)):
            share = samples * (k + 1) // count - samples * k // count
            masks = (seed + k * APART) % (1 << 64)
            made.append(member.predict(x, network=own, samples=share, seed=masks, **settings))
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
            settings=_settings([p.settings for p in made]) | {"members": count, "seed": seed},
        )


def _settings(made: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of all samples together: those of the first member, but for what is counted, population by population."""
    total = sum(one["samples"] for one in made)
    whole = {**made[0], "samples": total}
    for counted in ("spikes_per_prediction", "saturated"):
        sums = Counter[str]()  # members may have other populations
        for one in made:
            sums.update({name: count * one["samples"] for name, count in one.get(counted, {}).items()})
        if any(counted in one for one in made):
            whole[counted] = {name: count / total for name, count in sums.items()}
    return whole


def fit_ensemble(
    build: Callable[[], nn.Module],
    x: Tensor,
    y: Tensor,
    *,
    validation: tuple[Tensor, ...],
    members: int,
    seed: int = 0,
    samples: int = SAMPLES,
    mask_scope: MaskScope = "row",
    checkpoints: Path | None = None,
    resume: bool = False,
    **training: Any,
) -> Ensemble:
    """Train members on the same rows from first weights of their own, and calibrate what they predict together.

    Args:
        build: makes an untrained module, from torch's generator.
        x, y, validation: as for :func:`~spikebayes.training.fit`; half of the validation rows calibrate the ensemble.
        members: how many.
        seed: of the first; the others count on from it.
        samples, mask_scope: of the prediction that is calibrated.
        checkpoints: folder in which each member has one of its own.
        resume: go on from those that are there.
        training: as for :func:`~spikebayes.training.fit`.

    Raises:
        ConfigError: no member, or a setting out of range.
    """
    check_count("members", members, 1)
    if len(validation) > 2:
        x_held, y_held, counts = validation
        validation = that_count(x_held, y_held, check_weights(counts, len(x_held), "validation"))
    chosen, apart = set_apart(validation, SHARE)
    made = []
    for k in range(members):
        with torch.random.fork_rng():
            torch.manual_seed(own_seed := (seed + k) % (1 << 64))
            model = build()
        own = None if checkpoints is None else checkpoints / f"member-{k + 1}"
        begun = own is not None and (own / LAST_CHECKPOINT).exists()
        kept = {"checkpoints": own, "resume": resume and begun, "calibration": 0.0}
        made.append(fit(model, x, y, validation=chosen, seed=own_seed, **kept, **training))  # pyright: ignore[reportArgumentType]
    ensemble = Ensemble(tuple(made))
    if apart is None:
        return ensemble
    found = ensemble.predict(apart[0], samples=max(samples, members), seed=seed, mask_scope=mask_scope)
    return replace(ensemble, conformal=found.calibrate(apart[1]))


def _noise_of_samples(p: Predictive) -> Tensor:
    """``[S, B, C]``: members may know a noise of each row, or one for all."""
    if p.noise_samples is not None:
        return p.noise_samples
    if p.noise_std is None:
        raise ConfigError("a member has no observation noise; members must come from fit")
    return p.noise_std.expand(p.samples.shape)
