"""What two predictions must share to be judged against each other, and which settings there are; refused if not."""

from __future__ import annotations

from spikebayes.errors import ConfigError, DataError
from spikebayes.evaluate.decision import check_alpha
from spikebayes.prediction.predictive import Predictive, default_names

SAME_NOISE = 1e-3  # by which a noise that is the same for all samples may differ between two sides
SIZES = 1e-75, 1e75  # of an output's samples, whose fourth powers float64 holds


def check_settings(reference: Predictive, alpha: float, output: int | None, seed: int) -> None:
    """Refuse an alpha, output or seed out of range (ConfigError)."""
    outputs = reference.samples.shape[2]
    check_alpha(alpha)
    if output is not None and not 0 <= output < outputs:
        raise ConfigError(f"output must lie in 0..{outputs - 1}, there are {outputs}; got {output}")
    if seed < 0:
        raise ConfigError(f"seed must be 0 or more; got {seed}")


def check_sides(reference: Predictive, other: Predictive, name: str) -> None:
    """Refuse a prediction that cannot be judged against the reference.

    Args:
        reference: ``[S, B, C]``. other: ``[S', B, C]``.
        name: of the other, in messages.

    Raises:
        DataError: another task, other rows, outputs or names, a single sample, or numbers whose powers are none.
        ConfigError: one seed, but masks that are shared in part.
    """
    if reference.task is not other.task:
        raise DataError(f"reference is a {reference.task}, {name} a {other.task}: predict both with the same task")
    for axis, what in ((1, "rows"), (2, "outputs")):
        here, there = reference.samples.shape[axis], other.samples.shape[axis]
        if here != there:
            raise DataError(f"reference has {here} {what}, {name} {there}: predict both on the same data")
    moved = int((reference.draw.rows != other.draw.rows).sum())
    if moved:
        raise DataError(
            f"{moved} of {len(reference.draw.rows)} row indices of reference and {name} differ: predict both with "
            "the same rows"
        )
    for side, what in ((reference, "reference"), (other, name)):
        size = side.samples.abs().amax((0, 1)).double()  # [C]
        if bool((beyond := (size > SIZES[1]) | ((size > 0) & (size < SIZES[0]))).any()):
            raise DataError(
                f"samples of {what} are as large as {float(size[beyond][0]):.3g}, and powers of what is beyond "
                f"{SIZES[0]:g} to {SIZES[1]:g} are no numbers: give them in another unit"
            )
    unnamed = default_names(reference.samples.shape[2])
    if len({reference.names, other.names} - {unnamed}) > 1:
        here, there = ", ".join(reference.names), ", ".join(other.names)
        raise DataError(f"reference's outputs are {here}, {name}'s {there}: give both one order and the same names")
    sizes = len(reference.samples), len(other.samples)
    if min(sizes) < 2:
        raise DataError(f"at least 2 samples are needed; reference has {sizes[0]}, {name} {sizes[1]}")
    if reference.draw.seed != other.draw.seed:
        return
    if reference.draw.scope != other.draw.scope or sizes[0] != sizes[1]:
        raise ConfigError(
            f"reference ({sizes[0]} samples, masks by {reference.draw.scope}) and {name} ({sizes[1]}, by "
            f"{other.draw.scope}) share seed {reference.draw.seed} and so part of their masks: "
            "draw both alike, or use another seed"
        )


def check_noise(reference: Predictive, candidate: Predictive) -> None:
    """Refuse sides to which other noises were given; one that the samples tell is judged as they are."""
    noise = [side.noise_std for side in (reference, candidate) if side.noise_samples is None]
    here, there = noise if len(noise) == 2 else (None, None)
    if here is None or there is None:
        return
    if not bool(((here / there).log().abs() < SAME_NOISE).all()):
        told = " and ".join(f"{float(each.double().mean()):.3g}" for each in (here, there))
        raise DataError(
            f"the noise of observations differs, {told} on average in reference and candidate, and compare judges "
            "samples: give both one noise_std, or none"
        )
