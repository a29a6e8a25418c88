"""What validation images choose: learning rate and noise of either network, and the range of weights of few bits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from studies.neftci2017.learning import tried
from studies.neftci2017.networks import TUNED, Choice, Run
from studies.neftci2017.settings import Learning
from studies.processes import Job, side_by_side
from studies.stages import Stages


def chosen(
    data: Path, stages: Stages, s: Learning, seed: int, count: int
) -> tuple[dict[str, Choice], list[dict[str, Any]]]:
    """The choice for each network, and every training that chose with what it came to.

    Both networks have the same to choose from: first the learning rate, at the middle noise; then the noise, at that
    learning rate; then the range of weights for each number of bits.
    """
    middle = s.noises[len(s.noises) // 2]
    lines: list[dict[str, Any]] = []

    def best(candidates: dict[str, list[Choice]], bits: int | None, epochs: int) -> dict[str, Choice]:
        """By kind the candidate of the lowest log loss."""
        jobs = {
            (kind, k): Job(
                stages,
                _named(kind, choice, bits, epochs),
                tried,
                (Run(kind, seed, bits), choice, epochs, data, seed, s),
            )
            for kind, choices in candidates.items()
            for k, choice in enumerate(choices)
        }
        results = side_by_side(jobs, count)
        lines.extend(_told(kind, candidates[kind][k], bits, epochs) | result for (kind, k), result in results.items())
        return {
            kind: min(enumerate(choices), key=lambda one, kind=kind: results[kind, one[0]]["log_loss"])[1]
            for kind, choices in candidates.items()
        }

    found = best({k: [Choice(middle, rate) for rate in s.learning_rates] for k in TUNED}, None, s.rate_epochs)
    noises = {k: [replace(found[k], noise=noise) for noise in s.noises] for k in TUNED}
    found = best(noises, None, s.noise_epochs)
    for bits in s.bits:
        ranges = {k: [replace(found[k], spans={**found[k].spans, bits: span}) for span in s.spans] for k in TUNED}
        found = best(ranges, bits, s.span_epochs)
    return found, lines


def _told(kind: str, choice: Choice, bits: int | None, epochs: int) -> dict[str, Any]:
    span = choice.spans[bits] if bits else None
    rate, noise = choice.learning_rate, choice.noise
    return {"network": kind, "learning_rate": rate, "noise": noise, "bits": bits, "span": span, "epochs": epochs}


def _named(kind: str, choice: Choice, bits: int | None, epochs: int) -> str:
    few = f"{bits} bits within {choice.spans[bits]:g}, " if bits else ""
    return f"choosing, {kind}, {few}learning rate {choice.learning_rate:g}, noise {choice.noise:g}, {epochs} epochs"
