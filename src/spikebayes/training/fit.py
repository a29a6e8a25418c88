"""fit(): train a permanent-dropout network, with Lightning's Trainer."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import Checkpoint, RichProgressBar
from lightning.pytorch.loggers import Logger
from torch import Tensor, nn
from torch.utils.data import DataLoader

from spikebayes.conversion.faults import out_of_sight
from spikebayes.errors import ConfigError, SpikebayesError
from spikebayes.machine.arguments import checked
from spikebayes.machine.progress import in_notebook
from spikebayes.nn import Sharpened, SoftLIF
from spikebayes.prediction.sampling import Values
from spikebayes.prediction.task import Task
from spikebayes.prediction.tuning import LEAST_ROWS, check_error, find_timing
from spikebayes.training.activity import Activity, check_penalty
from spikebayes.training.calibration_rows import SHARE
from spikebayes.training.callbacks import (
    Asked,
    Best,
    EpochBar,
    Last,
    Patience,
    RandomState,
    all_sharp,
    annealing_epochs,
    has,
    sharpening_in_words,
    trainer_settings,
)
from spikebayes.training.checks import (
    Noise,
    check_augment,
    check_batches,
    check_conversion,
    check_outputs,
    check_range,
    check_sampling,
    warn_of_repeated,
)
from spikebayes.training.fitted import SAMPLES, VALIDATION_SEED, Fitted, with_noise
from spikebayes.training.learner import Learner, Steps, loaders
from spikebayes.training.loggers import Telling, Told, as_loggers
from spikebayes.training.recipe import Recipe
from spikebayes.training.rows import Part, Rows, checksum
from spikebayes.training.scaling import Scaling
from spikebayes.training.schedules import Scheduler
from spikebayes.training.session import alone_in, check_checkpoint, interruptible, quiet
from spikebayes.training.sharpening import Gamma, ScheduledSharpening, Sharpening

LAST_CHECKPOINT = "last.ckpt"
MIDDLE = (0.4, 0.3)  # shares of the epochs before Sharpened activations begin to sharpen, and until they are steps


@checked
def fit(
    model: nn.Module,
    x: Values,
    y: Values,
    *,
    validation: tuple[Values, Values] | tuple[Values, Values, Values],
    weights: Values | None = None,
    task: Task | str = Task.REGRESSION,
    scaling: Scaling | None = None,
    precision: Literal["float32", "bfloat16"] = "float32",
    epochs: int = 200,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    weight_decay: float = 3e-4,
    rate_penalty: float = 0.0,
    optimizer: str = "adam",
    gamma: tuple[float, float] = (0.02, 0.001),
    annealing: float = 0.3,
    sharpening: Sharpening | None = None,
    patience: int = 30,
    seed: int = 0,
    checkpoints: str | Path | None = None,
    resume: bool = False,
    names: tuple[str, ...] = (),
    spiking: bool = True,
    noise: Noise = "auto",
    calibration: float = SHARE,
    error: float | None = 0.03,
    scheduler: Scheduler = "onecycle",
    augment: Callable[[Tensor], Tensor] | None = None,
    callbacks: Sequence[Callback] = (),
    logger: Logger | Sequence[Logger] | Told | None = None,
    progress: bool = False,
) -> Fitted:
    """Train a module with its dropout on, and its SoftLIF thresholds sharpening into LIF ones.

    By default Adam with a one-cycle learning rate; mean squared error on standardised targets, a Gaussian likelihood
    where the module predicts the noise of each row, or cross-entropy on logits. gamma falls geometrically over the
    first ``annealing`` share of the epochs, and ``Sharpened`` activations become steps by ``sharpening``; once both
    are done the weights with the lowest validation loss (of the prediction averaged over 8 fixed masks) are kept, and
    training stops after ``patience`` epochs without a better one. Inputs and targets are standardised on the training
    rows alone.

    Args:
        model: module from ``[B, *shape]`` to ``[B, C]``; trained in place. With ``[B, 2C]`` outputs for C targets it
            predicts means, then log variances of the noise about them.
        x: ``[B, *shape]`` training inputs in data units; these and the targets are tensors, arrays or data frames.
        y: ``[B, C]`` targets in data units, or ``[B]`` int64 classes.
        validation: the same two for held-out rows, some of which choose the weights and measure the noise and the
            others calibrate; a third element may say how much each of these rows counts in the validation loss.
        weights: ``[B]``, how much each training row counts in the loss, 0 or more; None gives all the same weight.
            Weights are divided by their mean.
        task: regression or classification.
        scaling: of inputs and targets; None learns it from the training rows.
        precision: of matrix products while training; weights, and SoftLIF's curve, are float32 in either case.
        epochs, batch_size, learning_rate, weight_decay: of the optimisation; learning_rate is the highest of the
            cycle.
        rate_penalty: lambda, 0 or more; lambda A is added to the losses of training and of validation. A is the
            activity of the hidden units, each weighed by the synapses that it reaches: for rate activations
            (``SoftLIF``) the synaptic events to be expected over those if all neurons fired at 500 Hz, for others the
            mean of |y| over the largest in its layer, with which the spikes of a code rise.
            ``history["activity"]`` has A of the trained network.
        optimizer: by its name (:func:`~spikebayes.training.optimizers.make_optimizer`).
        gamma: first and last width of SoftLIF's threshold.
        annealing: share of the epochs over which gamma falls, in (0, 1).
        sharpening: a callback of ``training.sharpening`` for the network's ``Sharpened`` activations; by default all
            sharpen together between 40 and 70 % of the epochs.
        patience: epochs.
        seed: of batches, masks and whatever else is drawn here; it does not affect weights that are already drawn.
        checkpoints: folder for the checkpoint of the last whole epoch; None keeps none. It is written when the
            training ends, even by an error or Ctrl-C, and between epochs at most once a second: if the process is
            killed, no more than that second and the current epoch are lost.
        resume: continue from the checkpoint in ``checkpoints``, with the rows and settings that it was written
            with; on the same machine the result is the same, bit for bit.
        names: one name per output.
        spiking: refuse, before training, a module that could not be converted afterwards; False trains one that is
            not to be converted, as a classical baseline.
        noise: of observations about the output. ``"constant"``: one standard deviation for all rows, from a module
            with C outputs; ``"row"``: one for each, from a module with 2C; ``"auto"``: according to the number of
            outputs, but with 2C the noise outputs are removed, in place, if a constant noise has the higher log
            predictive density on the rows that chose the weights.
        calibration: share of the validation rows (2,000 at most) that do not choose the weights but calibrate
            intervals and sets, see :meth:`spikebayes.Predictive.calibrate`; with 0, or fewer than 9 rows, nothing is
            calibrated.
        error: allowed for the spiking samples, in predictive standard deviations: filters and timing of LIF networks
            are those that need the fewest steps for it on the validation rows, see :func:`spikebayes.tune`;
            ``history["tuning"]`` has the error reached. None, or fewer than 10 rows, leaves the choice to ``convert``
            and ``predict``.
        scheduler: of the learning rate, step by step: ``"onecycle"``, ``"cosine"`` (from ``learning_rate`` to 0),
            ``"constant"``, or a function of the optimiser and the number of its steps to a schedule of torch's.
        augment: function applied to each batch ``[B, *shape]`` of training inputs, in the network's units. If it
            draws from torch's generator, ``seed`` determines it, and a resumed training repeats it.
        callbacks: Lightning callbacks in addition to those of ``fit``; an error that they raise ends the training,
            and the checkpoint of the last whole epoch is kept. ``trainer.callback_metrics`` has ``loss`` and
            ``val_loss``. A callback on single batches may cost more than the steps of a small network, as Lightning
            then goes batch by batch.
        logger: one or several of Lightning's loggers, or a function of a mapping, which is given ``epoch``, ``step``,
            ``loss``, ``val_loss`` and ``learning_rate`` after every epoch.
        progress: show Lightning's progress bar; in a notebook, a bar of the epochs.

    Returns:
        :class:`Fitted`: the module, its scaling, noise and calibration, its filters and timing.

    Raises:
        ConversionError: a module that could not become a spiking network once trained.
        DataError: mis-shaped, empty, NaN or infinite data, or differences that float32 rounds away; a module that
            does not fit it; names that are not one for each output.
        ConfigError: a setting out of range, a model in which nothing is random, sharpening for a model without
            ``Sharpened`` activations, a rate_penalty for activations that are not modules or of no kind that it
            covers, or no checkpoint to resume from, or one of other rows or settings.
        StoreError: a checkpoint that is torn, or of another module.
        SpikebayesError: the loss became NaN, or sharpening was not complete by the last epoch.
        KeyboardInterrupt: on Ctrl-C; the checkpoint of the last whole epoch is kept in ``checkpoints``.

    Reference:
        Hunsberger & Eliasmith 2015 (SoftLIF); Wycoff 2019, section 2; Sorbaro et al. 2020, Front. Neurosci. 14:662
        (a penalty of synaptic operations).

    Example:
        >>> from spikebayes.nn import zoo
        >>> _ = torch.manual_seed(0)
        >>> x = torch.randn(100, 2)
        >>> given = {"validation": (x[:20], x[:20, :1]), "epochs": 3, "error": None}
        >>> models = [zoo.mlp(2, 1, (8,), 0.1) for _ in range(2)]
        >>> models[1].load_state_dict(models[0].state_dict())
        <All keys matched successfully>
        >>> free, penalised = (
        ...     fit(m, x[20:], x[20:, :1], rate_penalty=p, **given) for m, p in zip(models, (1e-9, 3.0))
        ... )
        >>> penalised.history["activity"] < free.history["activity"]
        True
    """
    checkpoints = None if checkpoints is None else Path(checkpoints)
    recipe = Recipe(
        task=Task(task),
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        rate_penalty=rate_penalty,
        optimizer=optimizer,
        scheduler=scheduler,
        gamma=gamma,
        annealing=annealing,
        patience=patience,
        precision=precision,
        augment=augment,
        seed=seed,
    )
    check_penalty(rate_penalty, spiking)
    if error is not None:
        check_error(error)
    if (closed := out_of_sight(model)) is not None:
        raise ConfigError(str(closed))
    rows = Rows.told_apart((x, y, weights), validation, recipe.task, calibration)
    if resume and (checkpoints is None or not (checkpoints / LAST_CHECKPOINT).exists()):
        raise ConfigError(f"there is no checkpoint to resume from in {checkpoints}: leave resume out")
    asked = Asked(recipe.told() | rows.told() | _told(scaling, sharpening))
    if scaling is None:
        scaling = Scaling.learn(rows.learned[0], rows.learned[1] if recipe.task is Task.REGRESSION else None)
    sharpenings, started = _sharpenings(model, recipe, sharpening), time.perf_counter()
    with torch.random.fork_rng():
        row_noise, activity = _looked_through(model.cpu(), rows, scaling, recipe, noise, names, spiking)
        warn_of_repeated(rows.learned[:2], rows.held_out[:2], stacklevel=3)
        torch.manual_seed(seed)
        train, held, batches = loaders(
            _scaled(rows.learned, scaling), _scaled(rows.choosing, scaling), batch_size, callbacks
        )
        learner = Learner(model.train(), replace(recipe, row_noise=row_noise), batches, activity)
        best = Best()
        last = None if checkpoints is None else checkpoints / LAST_CHECKPOINT
        with alone_in(checkpoints), quiet():
            hooks = [*sharpenings, best, Patience("val_loss", patience=patience, check_on_train_epoch_end=False)]
            hooks += [*callbacks, Telling(), RandomState(), asked]
            hooks += [Last(last)] if last is not None else []
            hooks += [EpochBar(epochs) if in_notebook() else RichProgressBar()] if progress else []
            begin = last if resume else None
            trainer = _train(
                learner, (train, held), begin, hooks, as_loggers(logger), epochs, progress and not in_notebook()
            )
            _keep_best(learner, best, trainer)
    model.cpu().eval()
    some = scaling.inputs(rows.some())
    history = {
        "epochs": trainer.current_epoch,
        "validation_loss": best.loss,
        "seconds": time.perf_counter() - started,
        "training_rows": len(rows.learned[0]),
        "validation_rows": len(rows.choosing[0]),
        "calibration_rows": 0,
    }
    if activity is not None:
        history |= {"rate_penalty": rate_penalty, "activity": activity.measured(model, some, VALIDATION_SEED)}
    fitted = Fitted(model, scaling, recipe.task, None, names, history, some)
    return _measured(fitted, rows, row_noise=row_noise, keep=noise == "row", error=error if spiking else None)


def _measured(fitted: Fitted, rows: Rows, *, row_noise: bool, keep: bool, error: float | None) -> Fitted:
    """A trained module with its noise, its calibration, and the filters and timing for an error, if one is given."""
    if fitted.task is Task.REGRESSION:
        fitted = with_noise(fitted, *rows.choosing[:2], told=row_noise, keep=keep)
    if rows.calibrating is not None:
        fitted = _calibrated(fitted, *rows.calibrating)
    x = rows.held_out[0]
    return fitted if error is None or len(x) < LEAST_ROWS else _tuned(fitted, x, error)


def _sharpenings(model: nn.Module, recipe: Recipe, sharpening: Sharpening | None) -> list[Sharpening]:
    """Of SoftLIF's threshold, and then of ``Sharpened`` activations, if there are any.

    Raises:
        ConfigError: one was asked for, and there are none.
    """
    falls = annealing_epochs(recipe.annealing, recipe.epochs) if has(model, SoftLIF) else 0
    found: list[Sharpening] = [ScheduledSharpening(0, falls, whole_epochs=True, dial=Gamma(*recipe.gamma))]
    if has(model, Sharpened):
        return [*found, sharpening or _in_the_middle(recipe.epochs)]
    if sharpening is not None:
        raise ConfigError("sharpening was given, but the model has no Sharpened activations: leave it out")
    return found


def _looked_through(
    model: nn.Module,
    rows: Rows,
    scaling: Scaling,
    recipe: Recipe,
    noise: Noise,
    names: tuple[str, ...],
    spiking: bool,
) -> tuple[bool, Activity | None]:
    """Refuse, before the first epoch, a module that would fail later (see :func:`fit` for the errors).

    Returns:
        Whether it tells the noise of each row, and the activity of its units, if that is penalised.
    """
    x = scaling.inputs(rows.learned[0])
    row_noise = check_outputs(model, x, rows.targets(), recipe.task, noise, names)
    check_batches(model, x, recipe.batch_size)
    if recipe.task is Task.REGRESSION and scaling.y_mean is not None:
        check_range(model, x)
    if recipe.augment is not None:
        check_augment(recipe.augment, x[:2])
    some = scaling.inputs(rows.some())
    if spiking:
        network = check_conversion(model, scaling, recipe.task, some)
        return row_noise, Activity.of(model, network, some) if recipe.rate_penalty else None
    if recipe.task is Task.REGRESSION or rows.calibrating is not None:
        check_sampling(model, some, recipe.task)
    return row_noise, None


def _told(scaling: Scaling | None, sharpening: Sharpening | None) -> dict[str, Any]:
    """For a checkpoint: what was given of these two; what is not follows from the rows and the other settings."""
    parts = () if scaling is None else (scaling.x_mean, scaling.x_std, scaling.y_mean, scaling.y_std)
    numbers = [part.double() for part in parts if part is not None]
    return {
        "sharpening": ScheduledSharpening.__name__ if sharpening is None else sharpening_in_words(sharpening),
        "scaling": checksum(*numbers) if numbers else None,
    }


def _scaled(rows: Part, scaling: Scaling) -> Part:
    x, y, *weights = rows
    return scaling.inputs(x), scaling.targets(y), *weights


def _calibrated(fitted: Fitted, x: Tensor, y: Tensor) -> Fitted:
    """By rows that chose nothing; a classical module from which nothing can be sampled stays as it is."""
    try:
        found = fitted.predict(x, samples=SAMPLES, seed=VALIDATION_SEED)
    except ConfigError:
        return fitted
    return replace(fitted, conformal=found.calibrate(y), history=fitted.history | {"calibration_rows": len(x)})


def _tuned(fitted: Fitted, x: Tensor, error: float) -> Fitted:
    """With the filters and the timing that need the fewest steps on rows in data units."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of conversion and inputs, said to who converts and predicts
        network = fitted.network()
        if network.code is not None or network.is_memoryless or not network.is_random:
            return fitted
        found = find_timing(network, fitted.model, fitted.scaling.inputs(x), error, fitted.task, seed=VALIDATION_SEED)
    synapse = next((c.synapse for c in found.network.connections if c.synapse is not None), fitted.synapse)
    history = fitted.history | {"tuning": {"asked": error, "error": found.error, "found": str(found)}}
    return replace(fitted, synapse=synapse, timing=found.network.timing, history=history)


def _in_the_middle(epochs: int) -> Sharpening:
    """All layers at once, so that at least the last epoch has steps."""
    start, length = (round(share * epochs) for share in MIDDLE)
    return ScheduledSharpening(max(0, min(start, epochs - 1 - length)), length)


def _train(
    learner: Learner,
    data: tuple[DataLoader[Any], DataLoader[Any]],
    begin: Path | None,
    callbacks: list[Callback],
    loggers: list[Logger],
    epochs: int,
    progress: bool,
) -> Steps:
    """Go through the epochs, from a checkpoint on if there is one to begin with."""
    if begin is not None:
        check_checkpoint(begin, learner, [c for c in callbacks if isinstance(c, Asked | Best | RandomState)])
    settings: dict[str, Any] = trainer_settings(callbacks) | {"logger": loggers or False}
    try:
        trainer = Steps(
            max_epochs=epochs,
            enable_progress_bar=progress,
            enable_checkpointing=any(isinstance(c, Checkpoint) for c in callbacks),
            **settings,
        )
    except (MisconfigurationException, RuntimeError) as error:  # callbacks that Lightning does not take beside others
        raise ConfigError(f"callbacks: {str(error).splitlines()[0]}") from error
    with interruptible():
        trainer.fit(learner, *data, ckpt_path=begin, weights_only=True)
    return trainer


def _keep_best(learner: Learner, best: Best, trainer: Steps) -> None:
    """Leave the best weights in the learner."""
    if best.loss is None or not all_sharp(trainer):  # or only after the last validation
        raise SpikebayesError(
            f"activations are not sharp after {trainer.current_epoch} epochs; give them more, or sharpen faster"
        )
    if not best.loss < float("inf"):
        raise SpikebayesError(
            f"training diverged: the validation loss is {best.loss}; lower the learning_rate of "
            f"{learner.recipe.learning_rate}"
        )
    learner.load_state_dict(best.weights)
