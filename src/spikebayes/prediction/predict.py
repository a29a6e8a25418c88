"""predict(): the predictive distribution of a module or of its spiking network, by one signature."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import chain, starmap
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikebayes.conversion.integers import IntegerNetwork
from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.machine.progress import track
from spikebayes.network.network import SpikingNetwork
from spikebayes.network.timing import Window
from spikebayes.prediction.batches import is_batches, parts, pieces
from spikebayes.prediction.cautions import warn_of_raw_inputs, warn_of_repeated_masks, warn_of_rounding
from spikebayes.prediction.cluster import Workers, connected
from spikebayes.prediction.draw import Draw
from spikebayes.prediction.heads import Head, check_classes, class_probabilities
from spikebayes.prediction.inputs import as_inputs
from spikebayes.prediction.module_samples import ModuleSampler
from spikebayes.prediction.network_samples import NetworkSampler
from spikebayes.prediction.noise_std import as_noise_std
from spikebayes.prediction.over_time import over_steps
from spikebayes.prediction.predictive import Predictive
from spikebayes.prediction.redraw import Redraw
from spikebayes.prediction.sampling import MaskScope, Piece, Sampler, SamplingPlan, Values, check_samples
from spikebayes.prediction.task import Task
from spikebayes.prediction.whole_number_samples import WholeNumberSampler


@checked
def predict(
    model: SpikingNetwork | IntegerNetwork | nn.Module,
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
    cluster: str | Workers | None = None,
) -> Predictive:
    """Samples of the predictive distribution: one mask per sample, held through the pass or the simulation.

    The same seed gives the same masks for a module and for the network that ``convert`` made of it, whatever the
    batch size, the order of the rows (by their indices) or the number of threads.

    Args:
        model: a spiking network; what ``integers`` made of one, whose inputs are rounded and whose outputs are in the
            units of that one; or a torch module with dropout (then steps, burn_in, engine and dtype are unused;
            only its dropout layers act as in training).
        x: ``[B, *shape]``, or one for each argument. Or a ``DataLoader``, or any iterator or generator of batches: a
            tensor, an array or a frame each, or a tuple that begins with the model's arguments (what follows, such as
            labels, is left out). Row numbers continue from batch to batch, so that the samples are those of all rows
            in one call; a loader that shuffles is refused, but a generator that does cannot be detected. For a
            network that steps freely also ``[B, T, *shape]``, an input over time, such as a sensor's events or
            signal: step t, from 0, sees ``x[:, t]``, and a sample is a run of T steps under its masks, whose read-out
            is averaged over the steps after the burn-in. Other inputs may be constant.
        samples: S; a single one has no spread.
        seed: key of the masks, in [0, 2^64). Two predictions to be compared by a KS test need different seeds.
        steps: T, time steps per sample, burn-in included; those of x where it is over time, else by default those of
            the timing that the network carries (``tune`` finds it), else the usual burn-in and 100 more. A step of a
            network without memory is a sample; with an input over time a sample is all T steps, in each of which
            stochastic units and synapses draw anew, independently of other samples. A coded network takes no steps: a
            sample is a window of ticks, and one run gives all samples.
        burn_in: steps left out of the average at the start; by default those of the network's timing, else as many as
            it takes until 99 % of a step at the input has passed the slowest chain of filters (with L Alpha filters
            in a row the quantile of Gamma(2 L) times tau / dt; 200 where neurons remember and nothing is filtered).
        window: weights of the other steps in the average, :class:`Flat` or :class:`Hann`; by default the network's,
            else Flat.
        redraw: all samples of a row out of one run whose masks are redrawn, see :class:`Redraw` (then steps, burn_in
            and the network's timing are not used); None simulates every sample separately. Not for inputs over time.
        mask_scope: ``"row"``: each row its own masks, as the papers simulate; ``"pass"``: one mask per sample for
            all rows, so that each sample is a draw of a whole function.
        rows: ``[B]`` indices of the rows in the whole data set; 0 .. B - 1 by default. Not for batches.
        engine: ``"auto"`` (the fastest that supports the network), ``"cpu"``, ``"windows"`` (of coded networks) or
            ``"reference"``.
        batch_size: largest number of rows at a time; memory is bounded without it too.
        dtype: of the simulation; samples are float32 in any case.
        task: regression or classification, which turns K logits into class probabilities by softmax, and one logit
            into those of two classes by a sigmoid. Outputs that are probabilities already (a softmax, log-softmax or
            sigmoid head) are taken as they are, with a warning.
        noise_std: standard deviation of an observation about the output (regression): ``[C]``, ``[B, C]`` or one
            number for all outputs; stored in the result.
        names: one name per output.
        progress: show a progress bar on standard error.
        device: where torch computes a module or a coded network; masks, and the numbers that coded populations send,
            are the same on every device. Other networks run on the CPU only.
        cluster: processes that share the work, see :func:`distribute`.

    Returns:
        A :class:`Predictive` with samples ``[S, B, C]``.

    Raises:
        ConfigError: a setting out of range; a model in which nothing is random, or something is that the masks do not
            control; answers that depend on the rest of the batch; steps that contradict those of x.
        DataError: x is mis-shaped, empty, NaN or infinite, or rounding to float32 makes different rows equal; x
            is over time, for a module or a coded network; outputs that are not class probabilities.

    Reference:
        Gal & Ghahramani 2016; Wycoff 2019, section 3.

    Example:
        >>> from spikebayes import convert, nn as sbnn
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Linear(2, 50), sbnn.SoftLIF(1e-3), sbnn.Permadrop(0.5), nn.Linear(50, 1))
        >>> x = torch.randn(5, 2)
        >>> classical = predict(model, x, seed=1)
        >>> spiking = predict(convert(model, x), x, seed=1)
        >>> bool(((classical.samples - spiking.samples).abs() < 0.1 * classical.model_std).all())
        True
    """
    plan = SamplingPlan(
        samples, seed, mask_scope, rows, engine, batch_size, dtype, progress, device=device, cluster=cluster
    )
    task = Task(task)
    sampler: Sampler
    if isinstance(model, SpikingNetwork):
        sampler = NetworkSampler(model, plan, steps, burn_in, window, redraw)
    elif isinstance(model, IntegerNetwork):
        sampler = WholeNumberSampler(model, plan, steps, burn_in, window, redraw)
    elif isinstance(model, nn.Module):
        sampler = ModuleSampler(model, plan)
    else:
        raise ConfigError(
            f"predict takes a SpikingNetwork, an IntegerNetwork or an nn.Module; got {type(model).__name__}"
        )
    answer = partial(_check_answer, task=task, noise_std=noise_std, names=tuple(names))
    drawn = _joined(_sampled(sampler, x, answer))
    output = drawn.samples
    settings = sampler.settings(drawn.spikes, drawn.saturated, output.shape[:2].numel())
    settings |= {"samples": plan.samples, "seed": plan.seed, "mask_scope": mask_scope}
    if task is Task.CLASSIFICATION:
        output, settings["outputs"] = class_probabilities(output, sampler.head)
    draw = Draw(plan.seed, mask_scope, plan.indices(output.shape[1]))
    noise = None if noise_std is None else as_noise_std(noise_std, output.shape)
    found = Predictive(output, draw, task, noise, tuple(names), settings)
    if task is Task.REGRESSION:
        warn_of_rounding(found.samples, found.names)
    return found


def _check_answer(head: Head, rows: int | None, task: Task, noise_std: Any, names: tuple[str, ...]) -> None:
    """Refuse before anything is sampled what does not fit its outputs; ``rows`` None are not known yet."""
    outputs = check_classes(head) if task is Task.CLASSIFICATION else math.prod(head.shape)
    if rows is None:
        rows = len(noise_std) if np.ndim(noise_std) == 2 else 1
    noise = None if noise_std is None else as_noise_std(noise_std, (1, rows, outputs))
    like_these = torch.full((), 1 / outputs).expand(1, rows, outputs)
    Predictive(like_these, Draw(0, "row", torch.arange(rows)), task, noise, names)


def _sampled(sampler: Sampler, x: Values, check: Callable[[Head, int | None], None]) -> Iterator[Piece]:
    """Samples of all rows, piece by piece; ``check`` is asked beforehand."""
    plan = sampler.plan
    if is_batches(x):
        found = pieces(x, sampler)
        inputs, rows = first = next(found)
        warn_of_raw_inputs(over_steps(inputs, sampler.shapes), sampler.standardised)
        sampler.begin(inputs, rows)
        check(sampler.head, None)
        found = chain([first], found)
    else:
        inputs = as_inputs(x, sampler.shapes, sampler.dtype, still=sampler.still)
        warn_of_raw_inputs(over_steps(inputs, sampler.shapes), sampler.standardised)
        warn_of_repeated_masks(sampler.model, inputs, plan)
        rows = plan.indices(len(inputs[0]))
        sampler.begin(inputs, rows)
        check(sampler.head, len(rows))
        if plan.cluster is None:
            yield sampler(inputs, rows, plan.progress)
            return
        found = parts(inputs, rows, sampler)
    with ExitStack() as stack:
        if plan.cluster is None:
            made = starmap(sampler, found)
        else:
            made = stack.enter_context(connected(plan.cluster)).each(sampler, found)
        yield from track(made, "predicting", plan.progress)


def _joined(found: Iterator[Piece]) -> Piece:
    """All pieces as one."""
    whole = next(found)
    waiting, rows = [whole.samples], whole.samples.shape[1]
    for piece in found:
        waiting.append(piece.samples)
        rows += piece.samples.shape[1]
        check_samples(len(piece.samples), rows, piece.samples.shape[2])
        whole.spikes.update(piece.spikes)
        whole.saturated.update(piece.saturated)
    if len(waiting) > 1:
        whole.samples = whole.samples.new_empty(len(whole.samples), rows, whole.samples.shape[2])
        for here in whole.samples.split([len(part[0]) for part in waiting], dim=1):
            here.copy_(waiting.pop(0))  # what is copied is let go
    return whole
