"""predict(): the predictive distribution of a module or of its spiking network, by one signature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikebayes.engine.contract import TRACE
from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.network.network import SpikingNetwork
from spikebayes.network.operators import size
from spikebayes.network.timing import Flat, Timing, Window
from spikebayes.prediction.cautions import warn_of_raw_inputs, warn_of_repeated_masks, warn_of_saturation
from spikebayes.prediction.heads import Head, class_probabilities
from spikebayes.prediction.inputs import as_inputs
from spikebayes.prediction.module_samples import NOT_RANDOM, sample
from spikebayes.prediction.predictive import Draw, Predictive, Task, as_noise_std
from spikebayes.prediction.redraw import Redraw
from spikebayes.prediction.sampling import MaskScope, SamplingPlan, Values, timing_of
from spikebayes.prediction.simulate import argument_shapes, run


@checked
def predict(
    model: SpikingNetwork | nn.Module,
    x: Values,
    *,
    samples: int = 100,
    seed: int = 0,
    steps: int | None = None,
    burn_in: int | None = None,
    window: Window | None = None,
    redraw: Redraw | None = None,
    mask_scope: MaskScope = "row",
    rows: Values | None = None,
    engine: str = "auto",
    batch_size: int | None = None,
    dtype: torch.dtype = torch.float32,
    task: Task | str = Task.REGRESSION,
    noise_std: Tensor | np.ndarray | Sequence[float] | float | None = None,
    names: Sequence[str] = (),
    progress: bool = False,
    device: str | torch.device = "cpu",
) -> Predictive:
    """Samples of the predictive distribution: one mask per sample, held through the pass or the simulation.

    The same seed gives the same masks for a module and for the network that ``convert`` made of it, whatever the
    batch size, the order of the rows (by their indices) or the number of threads.

    Args:
        model: a spiking network, or a torch module with dropout (then steps, burn_in, engine and dtype are unused;
            only its dropout layers act as in training).
        x: ``[B, *shape]``, or one for each argument.
        samples: S; a single one has no spread.
        seed: key of the masks, in [0, 2^64). Two predictions to be compared by a KS test need different seeds.
        steps: T, time steps per sample, burn-in included; by default those of the timing that the network carries
            (``tune`` finds it), else the usual burn-in and 100 more. A step of a network without memory is a sample.
            A coded network takes none: a sample is a window of ticks, and one run gives all samples.
        burn_in: steps left out of the average at the start; by default those of the network's timing, else as many as
            99 % of a step needs to come through the slowest chain of filters (with L Alpha filters in a row the
            quantile of Gamma(2 L) times tau / dt; 200 where neurons remember and nothing is filtered).
        window: weights of the others in the average, :class:`Flat` or :class:`Hann`; by default the network's, else
            Flat.
        redraw: all samples of a row out of one run whose masks are redrawn, see :class:`Redraw` (then steps, burn_in
            and the network's timing are not used); None simulates every sample apart.
        mask_scope: ``"row"``: each row its own masks, as the papers simulate; ``"pass"``: one mask per sample for
            all rows, so that each sample is a draw of a whole function.
        rows: ``[B]`` indices of the rows in the whole data set; 0 .. B - 1 by default.
        engine: ``"auto"`` (the fastest that supports the network), ``"cpu"``, ``"windows"`` (of coded networks) or
            ``"reference"``.
        batch_size: most rows at a time; memory is bounded without it too.
        dtype: of the simulation; samples are float32 in any case.
        task: regression or classification, which turns K logits into class probabilities by softmax, and one logit
            into those of two classes by a sigmoid. Outputs that are probabilities already (a softmax, log-softmax or
            sigmoid head) are taken as they are, with a warning.
        noise_std: ``[C]`` residual standard deviation of an observation (regression), or one number for all outputs;
            carried along.
        names: one name per output.
        progress: show a progress bar on standard error.
        device: where torch computes, of a module or of a coded network; masks, and the numbers that coded populations
            tell, are the same on every device. Other networks run on the CPU alone.

    Returns:
        A :class:`Predictive` with samples ``[S, B, C]``.

    Raises:
        ConfigError: a setting out of range; nothing in the model is random, or something that masks do not govern;
            answers that depend on the rest of the batch.
        DataError: x is mis-shaped, empty, NaN or infinite, or rounding to float32 loses what tells its rows apart;
            outputs that are no class probabilities.

    Reference:
        Gal & Ghahramani 2016; Wycoff 2019, section 3.

    Example:
        >>> from spikebayes import convert, nn as sbnn
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Linear(2, 50), sbnn.SoftLIF(1e-3), sbnn.Permadrop(0.5), nn.Linear(50, 1))
        >>> x = torch.randn(5, 2)
        >>> classical = predict(model, x, seed=1)
        >>> spiking = predict(convert(model, x), x, seed=1)
        >>> bool(((classical.samples - spiking.samples).abs() < 0.1 * classical.std).all())
        True
    """
    plan = SamplingPlan(samples, seed, mask_scope, rows, engine, batch_size, dtype, progress, device=device)
    task = Task(task)
    settings: dict[str, Any]
    if isinstance(model, SpikingNetwork):
        if redraw is None:
            timing = timing_of(model, steps, burn_in, window)
        else:
            timing = Timing(redraw.steps(plan.samples, model), window=window or Flat())
        output, settings = _spiking(model, x, plan, timing, redraw)
        head = Head(model.readout.shape)
    elif isinstance(model, nn.Module):
        (output, head), settings = sample(model, x, plan), {"kind": "classical"}
    else:
        raise ConfigError(f"predict takes a SpikingNetwork or an nn.Module; got {type(model).__name__}")

    settings |= {"samples": plan.samples, "seed": plan.seed, "mask_scope": mask_scope}
    if task is Task.CLASSIFICATION:
        output, settings["outputs"] = class_probabilities(output, head)
    draw = Draw(plan.seed, mask_scope, plan.indices(output.shape[1]))
    noise = None if noise_std is None else as_noise_std(noise_std, output.shape[2])
    return Predictive(output, draw, task, noise, tuple(names), settings)


def _spiking(
    network: SpikingNetwork, x: Values, plan: SamplingPlan, timing: Timing, redraw: Redraw | None
) -> tuple[Tensor, dict[str, Any]]:
    """Samples ``[S, B, C]`` float32 of a network, and how they were made."""
    if not network.is_random:
        raise ConfigError(NOT_RANDOM)
    inputs = as_inputs(x, argument_shapes(network), plan.dtype)
    warn_of_raw_inputs(inputs, any(i.standardised for i in network.inputs))
    warn_of_repeated_masks(network, inputs, plan)
    told: dict[str, Any]
    redrawn = network if redraw is None else redraw.apply(network)
    if network.code is not None:
        return _by_code(network, x, plan, timing)
    if redraw is None:
        found = run(network, x, plan, timing)
        output, told = found.mean.float(), {"steps": timing.steps, "burn_in": timing.burn_in}
    else:
        told = {"steps": timing.steps, "redraw": asdict(redraw)}
        once = replace(plan, samples=1, least=1)
        found = run(redrawn, x, once, replace(timing, window=Flat()), [TRACE])
        assert found.trace is not None
        delay = redraw.delays(network)[network.readout.name]
        output = redraw.average(found.trace[0, :, delay:], timing.window).float()
    settings = {"kind": "spiking", "engine": found.engine, "dtype": str(plan.dtype).removeprefix("torch.")}
    settings |= {**told, "window": type(timing.window).__name__, "dt": network.dt}
    predictions = output.shape[:2].numel()
    spikes = {name: float(n.double().sum() / predictions) for name, n in found.counts.items()}
    return output, settings | {"spikes_per_prediction": spikes}


def _by_code(network: SpikingNetwork, x: Values, plan: SamplingPlan, timing: Timing) -> tuple[Tensor, dict[str, Any]]:
    """Samples of a coded network: one run of S windows, and as many more as it is deep."""
    assert network.code is not None
    found = run(network, x, plan, timing)
    ticks, windows = network.code.ticks, plan.samples + max(network.depths.values())
    predictions = found.mean.shape[:2].numel()
    settings: dict[str, Any] = {
        "kind": "spiking",
        "engine": found.engine,
        "code": str(network.code),
        "dt": network.dt,
    }
    settings |= {"dtype": str(plan.dtype).removeprefix("torch.")}
    settings |= {"ticks": windows * ticks, "ticks_per_sample": ticks, "windows": windows}
    settings["spikes_per_prediction"] = {n: float(c.double().sum() / predictions) for n, c in found.counts.items()}
    settings["saturated"] = {
        name: float(cut.double().sum() / predictions) / size(network.shape(name))
        for name, cut in found.saturated.items()
    }
    warn_of_saturation(settings["saturated"])
    return found.mean.float(), settings
