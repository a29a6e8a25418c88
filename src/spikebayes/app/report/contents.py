"""What a report shows: ReportData, and report_data, which runs the one simulation that nobody kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from spikebayes.errors import ConfigError, DataError
from spikebayes.evaluate.arrays import Floats
from spikebayes.evaluate.energy.energy import Energy, energy
from spikebayes.evaluate.equivalence import Equivalence
from spikebayes.network.network import SpikingNetwork
from spikebayes.prediction.inputs import as_inputs
from spikebayes.prediction.predict import predict
from spikebayes.prediction.predictive import Predictive
from spikebayes.prediction.sampling import Values
from spikebayes.prediction.simulate import simulate
from spikebayes.prediction.task import Task

PRICED = 5  # rows whose energy is counted


@dataclass(frozen=True, eq=False)
class ReportData:
    """Everything a report is made from.

    Args:
        title: the page's heading.
        network: the spiking network.
        classical: ``[S, B, C]``, the reference.
        spiking: ``[S', B, C]``, the candidate; its settings say steps, burn_in, dt and spikes_per_prediction.
        verdict: their comparison.
        trace: ``[T, C]``, read-out of one simulation (logits for classification).
        trace_reference: ``[C]``, the module's output for the same row under the same mask.
        trace_row: that row's index in the whole data set.
        targets: ``[B, C]`` (or ``[B]`` when C = 1) values, ``[B]`` class indices, or None.
        settings: what else is needed to repeat the run (training settings, versions, ...).
        subject: a sentence on what was predicted, from what.
        outside: ``[B]``, of each row the columns in which it lies outside what was trained on, as
            ``data.outside_training`` names them; None where that is not known.
        commands: what to type to have this page again.
        energy: what predicting a few of the rows costs, or None.

    Raises:
        DataError: targets or a trace that do not fit the predictions.
    """

    title: str
    network: SpikingNetwork
    classical: Predictive
    spiking: Predictive
    verdict: Equivalence
    trace: Tensor
    trace_reference: Tensor
    trace_row: int
    targets: Tensor | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    subject: str = ""
    outside: tuple[str, ...] | None = None
    commands: tuple[str, ...] = ()
    energy: Energy | None = None

    def __post_init__(self) -> None:
        _, rows, outputs = self.classical.samples.shape
        if self.spiking.samples.shape[1:] != (rows, outputs) or len(self.verdict.rows) != rows:
            raise DataError("classical, spiking and verdict must be about the same rows and outputs")
        if self.trace.ndim != 2 or self.trace.shape[1] != outputs or self.trace_reference.shape != (outputs,):
            raise DataError(
                f"trace must be [T, {outputs}] and trace_reference [{outputs}]; "
                f"got {list(self.trace.shape)} and {list(self.trace_reference.shape)}"
            )
        if self.trace_row not in self.classical.draw.rows:
            raise DataError(f"trace_row {self.trace_row} is none of the predicted rows")
        if self.outside is not None and len(self.outside) != rows:
            raise DataError(f"outside must name columns of {rows} rows; got {len(self.outside)}")
        if self.targets is not None:
            classes = self.classical.task is Task.CLASSIFICATION
            allowed = {(rows,)} if classes else {(rows, outputs)} | ({(rows,)} if outputs == 1 else set())
            if tuple(self.targets.shape) not in allowed or not torch.isfinite(self.targets).all():
                expected = [rows] if classes else [rows, outputs]
                raise DataError(f"targets must be finite, {expected}; got {list(self.targets.shape)}")

    @property
    def by_class(self) -> bool:
        """Whether each row is judged on all its classes, and drawn for the most probable one."""
        default = self.classical.task is Task.CLASSIFICATION
        return default and not isinstance(self.verdict.settings.get("output"), int)

    @property
    def output(self) -> int:
        """The output that is drawn: the one that is judged, or of several the one that differs most."""
        named = self.verdict.settings.get("output")
        if isinstance(named, int):
            return named
        distance, outputs = self.verdict.wasserstein, self.classical.samples.shape[2]
        return int(distance[:, :outputs].mean(0).argmax()) if distance.ndim == 2 else 0  # noise is not drawn

    @property
    def output_name(self) -> str:
        """What the drawn number is called."""
        name = self.classical.names[self.output]
        if self.by_class:
            return "probability of the most probable class"
        return f"probability of {name}" if self.classical.task is Task.CLASSIFICATION else name

    def of_output(self, values: Floats) -> Floats:
        """``[B]``: of a verdict's numbers those of the output that is drawn."""
        return values[:, self.output] if values.ndim == 2 else values

    def drawn(self) -> tuple[Floats, Floats]:
        """The number that is drawn of each row: classical ``[S, B]``, spiking ``[S', B]``."""
        both = torch.cat([self.classical.samples, self.spiking.samples]).double()  # [S + S', B, C]
        index = both.mean(0).argmax(-1) if self.by_class else torch.full(both.shape[1:2], self.output)  # [B]
        chosen = both.gather(2, index[None, :, None].expand(len(both), -1, 1))[..., 0]
        first, second = chosen.split([len(self.classical.samples), len(self.spiking.samples)])
        return first.numpy(), second.numpy()

    def trace_output(self) -> tuple[int, str]:
        """Which output of the trace is drawn, and its name: for classes the logit of the reference's favourite."""
        if self.classical.task is not Task.CLASSIFICATION:
            return self.output, self.classical.names[self.output]
        place = int((self.classical.draw.rows == self.trace_row).nonzero()[0])
        favourite = int(self.classical.mean[place].argmax()) if self.by_class else self.output
        return favourite, f"logit of {self.classical.names[favourite]}"


def report_data(
    title: str,
    model: nn.Module,
    network: SpikingNetwork,
    x: Values,
    classical: Predictive,
    spiking: Predictive,
    verdict: Equivalence,
    targets: Tensor | None = None,
    settings: dict[str, Any] | None = None,
    rescale: Callable[[Tensor], Tensor] | None = None,
    **more: Any,
) -> ReportData:
    """Gather a report's contents.

    Simulates the first row once more, with sample 0's masks, and keeps its trace; and the first few, and counts what
    they cost.

    Args:
        title: the page's heading.
        model: the classical module.
        network: what ``convert`` made of it.
        x: ``[B, *shape]`` or one for each argument, what both were given.
        classical: ``[S, B, C]``.
        spiking: ``[S', B, C]``, made by ``predict`` from the network.
        verdict: their comparison.
        targets: ``[B, C]`` values or ``[B]`` class indices, when known.
        settings: what else is needed to repeat the run.
        rescale: from the network's output to target units, when the predictions were rescaled; maps
            ``[..., C]`` to ``[..., C]``.
        more: subject, outside and commands, as for :class:`ReportData`.

    Raises:
        ConfigError: the spiking prediction does not say how it was simulated.
        DataError: parts that do not fit one another.
    """
    try:
        known = ("steps", "burn_in") if network.code is None else ()  # a code knows its ticks
        timing = {name: spiking.settings[name] for name in known}
    except KeyError as error:
        raise ConfigError(
            f"the spiking prediction's settings lack {error}: make it with predict(network, ...)"
        ) from error
    first = tuple(part[:1] for part in as_inputs(x))
    scope, rows = spiking.draw.scope, spiking.draw.rows[:1]
    if scope != "row" and scope != "pass":
        raise ConfigError(f"mask scope must be 'row' or 'pass'; got {scope!r}")
    seed = spiking.draw.seed
    run = simulate(
        network,
        first,
        seed=seed,
        **timing,
        probe=["trace"],
        mask_scope=scope,
        rows=rows,
        dtype=torch.float64 if spiking.settings.get("dtype") == "float64" else torch.float32,
    )
    assert run.trace is not None
    paired = predict(model, first, samples=2, seed=seed, mask_scope=scope, rows=rows)
    trace, reference = run.trace[0, 0].float(), paired.samples[0, 0]  # [T, C], [C]
    if rescale is not None:
        trace, reference = rescale(trace), rescale(reference)
    return ReportData(
        title,
        network,
        classical,
        spiking,
        verdict,
        trace,
        reference,
        int(rows[0]),
        targets,
        settings or {},
        energy=_energy(network, x, spiking, timing),
        **more,
    )


def _energy(network: SpikingNetwork, x: Values, spiking: Predictive, timing: dict[str, int]) -> Energy | None:
    """What predicting the first rows costs, as they were predicted; None where that is not counted."""
    few = tuple(part[:PRICED] for part in as_inputs(x))
    sampling: dict[str, Any] = {"samples": len(spiking.samples), "seed": spiking.draw.seed} | timing
    sampling |= {"mask_scope": spiking.draw.scope, "rows": spiking.draw.rows[:PRICED]}
    try:
        return energy(network, few, **sampling)
    except ConfigError:
        return None
