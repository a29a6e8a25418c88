"""What a training is given is checked once, before any work."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from spikebayes.conversion.faults import copied, float_dtype
from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.kinds import shown
from spikebayes.network.network import SpikingNetwork
from spikebayes.nn import Sharpened
from spikebayes.noise.masks import evaluating
from spikebayes.noise.ownership import generators_kept
from spikebayes.prediction.inputs import as_inputs, plain
from spikebayes.prediction.module_passes import NOT_RANDOM
from spikebayes.prediction.predict import predict
from spikebayes.prediction.predictive import check_names
from spikebayes.prediction.sampling import Values
from spikebayes.prediction.task import Task
from spikebayes.training.fitted import Fitted
from spikebayes.training.likelihood import check_means
from spikebayes.training.scaling import Scaling

REPEATED = 0.5  # of validation rows, from which on it is no chance
BOUNDED = {  # torch's functions by name, and what they give
    **dict.fromkeys(("relu", "softplus", "exp", "abs", "square"), "nothing below 0"),
    **dict.fromkeys(("sigmoid", "special_expit", "hardsigmoid", "softmax", "softmin"), "numbers in [0, 1]"),
    **dict.fromkeys(("relu6",), "numbers in [0, 6]"),
    **dict.fromkeys(("tanh", "softsign"), "numbers in [-1, 1]"),
    **dict.fromkeys(("log_softmax", "log_sigmoid"), "nothing above 0"),
}
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
Noise = Literal["auto", "constant", "row"]


def check_rows(x: Values, y: Values, task: Task, what: str) -> tuple[Tensor, Tensor]:
    """Inputs ``[B, *shape]`` and targets ``[B, C]`` as float32, classes ``[B]`` as int64.

    Raises:
        DataError: as :func:`as_inputs`, unequal numbers of rows, or no class indices.
    """
    (x,) = as_inputs(x, name=f"the {what} input")
    try:
        targets = torch.as_tensor(plain(y)).cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        cure = "number classes from 0, or train on a table (spikebayes fit), which knows labels"
        raise DataError(f"{what} targets must be numbers: {str(error).splitlines()[0]}; {cure}") from error
    if targets.ndim == 0 or len(targets) != len(x):
        found = len(targets) if targets.ndim else "a single number"
        raise DataError(f"{len(x)} {what} rows of inputs, {found} of targets; give one for each row")
    if task is Task.REGRESSION:
        rows = y if hasattr(y, "columns") else targets if targets.ndim > 1 else targets[:, None]
        (targets,) = as_inputs(rows, name=f"the {what} target")
        return x, targets
    if targets.ndim != 1 or targets.is_floating_point():
        raise DataError(f"{what} classes must be [B] integers; got {targets.dtype} {list(targets.shape)}")
    if int(targets.min()) < 0:
        raise DataError(f"{what} classes must be 0 or more; got {int(targets.min())}")
    return x, targets.long()


def warn_of_repeated(train: Sequence[Tensor], held: Sequence[Tensor], stacklevel: int) -> None:
    """Warn of validation rows that are training rows as well, target included, if they are :data:`REPEATED` or more.

    Weights, noise and intervals are judged by these rows: of rows that were learned they come out too good.
    """
    known = set(_as_bytes(*train))
    seen = sum(row in known for row in _as_bytes(*held))
    if seen >= REPEATED * len(held[0]):
        warnings.warn(
            f"{seen} of {len(held[0])} validation rows equal training rows, targets included: scores, noise and "
            "intervals come out too good if rows were repeated; keep copies out, and validate on rows of their own",
            stacklevel=stacklevel + 1,
        )


def _as_bytes(x: Tensor, y: Tensor) -> Iterator[bytes]:
    rows = torch.cat([x.flatten(1), y.reshape(len(y), -1).to(x)], 1).numpy()
    return (row.tobytes() for row in rows)


class _Last(TorchFunctionMode):
    """While active, notes the function of torch that gave the latest tensor, and what numbers it gives, if few."""

    name, tensor, gives = "", None, None

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.name, self.tensor = func.__name__.rstrip("_"), result
            asked = self.name == "hardtanh"
            self.gives = _of_hardtanh(*args, **(kwargs or {})) if asked else BOUNDED.get(self.name)
        return result


def _of_hardtanh(_x: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> str:
    return f"numbers in [{min_val:g}, {max_val:g}]"


@torch.no_grad()
def check_range(model: nn.Module, x: Tensor) -> None:
    """Refuse a module whose last operation keeps it from standardised targets, which lie on both sides of 0.

    Args:
        model: of a regression. x: ``[B, *shape]`` scaled inputs.

    Raises:
        ConfigError: names the operation.
    """
    with evaluating(model), generators_kept(), _Last() as last:
        output = model(x[:2].clone())
    if output is last.tensor and last.gives is not None:
        raise ConfigError(
            f"the model ends in {last.name}, which gives {last.gives}, but learns targets that are standardised, on "
            "both sides of 0 and without bounds: leave it out, or give scaling=Scaling.learn(x, None), which leaves "
            "targets as they are"
        )


@torch.no_grad()
def check_outputs(
    model: nn.Module, x: Tensor, y: Tensor, task: Task, noise: Noise = "auto", names: tuple[str, ...] = ()
) -> bool:
    """Refuse a module that does not turn scaled inputs into what the targets are compared with, or other names.

    Returns:
        Whether the module tells the noise of each row beside its means.

    Raises:
        DataError: rows it does not take, outputs of another shape than the targets, or other names than theirs.
        ConfigError: a module of another precision than float32, or without a parameter that learns; or means that
            cannot be told from the noise, if the noise may be dropped.
    """
    if not any(p.requires_grad for p in model.parameters()):
        raise ConfigError("nothing learns: no parameter of the model requires a gradient; call requires_grad_(True)")
    if (precision := float_dtype(model)) is not torch.float32:
        numbers = str(precision).removeprefix("torch.")
        raise ConfigError(f"fit trains in float32, and the model's numbers are {numbers}: give model.float()")
    shape = list(x.shape[1:])
    with evaluating(model):
        try:
            output = model(x[:2].clone())
        except (RuntimeError, TypeError) as error:
            raise DataError(f"the model does not take rows of shape {shape}: {error}") from error
    if not isinstance(output, Tensor) or output.ndim != 2 or len(output) != len(x[:2]):
        found = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise DataError(f"the model must return [B, C] for rows of shape {shape}; got {found}")
    outputs = output.shape[1]
    if task is Task.REGRESSION:
        fit = {"constant": (1,), "row": (2,), "auto": (1, 2)}[noise]
        if outputs not in [times * size for times in fit for size in y.shape[1:]] or y.ndim != 2:
            cure = "; noise='row' needs two for each target, its mean and its log variance" if noise == "row" else ""
            raise DataError(
                f"the model has {outputs} outputs; the targets' rows have the shape {list(y.shape[1:])}{cure}"
            )
        if names:
            check_names(names, y.shape[1])
        if noise == "auto" and outputs != y.shape[1]:
            check_means(model, x, y.shape[1])
        return outputs != y.shape[1]
    if task is Task.CLASSIFICATION and (outputs == 1 or int(y.max()) >= outputs):
        cure = ": give it two for two classes" if outputs == 1 else ""
        cure = cure or (": number classes from 0" if (int(y.min()), int(y.max())) == (1, outputs) else "")
        raise DataError(f"the model has {outputs} outputs, one per class; the classes go up to {int(y.max())}{cure}")
    if names:
        check_names(names, outputs)
    return False


def check_augment(augment: Callable[[Tensor], Tensor], x: Tensor) -> None:
    """Refuse a function that does not make of rows as many others of their shape (ConfigError)."""
    made = augment(x.clone())
    if not isinstance(made, Tensor) or (made.shape, made.dtype) != (x.shape, x.dtype):
        raise ConfigError(f"augment must return what it is given, {shown(x)}, with other values; got {shown(made)}")


def check_sampling(model: nn.Module, x: Tensor, task: Task) -> None:
    """Refuse a module of which nothing could be predicted once it is trained, by rows ``[B, *shape]``.

    Raises:
        ConfigError: nothing in it is random, though the noise of a regression is measured beside samples; or it has a
            fault of those that :func:`spikebayes.predict` names.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # said to who predicts
            predict(model, x[:2], samples=2, seed=0)
    except ConfigError:  # as after training: classes stay without intervals then
        if task is Task.REGRESSION:
            raise


def check_batches(model: nn.Module, x: Tensor, batch_size: int) -> None:
    """Refuse batches of one row, where a batch norm cannot learn from one (ConfigError)."""
    if min(batch_size, len(x)) > 1 or not any(isinstance(m, BATCH_NORMS) for m in model.modules()):
        return
    try:
        with torch.no_grad():
            copied(model, ConfigError).train()(x[:1])
    except ValueError as error:
        raise ConfigError(
            f"a batch norm learns from two rows or more at a time; got batch_size {batch_size} for {len(x)} training "
            "rows: give more, or use no batch norm"
        ) from error


def check_conversion(model: nn.Module, scaling: Scaling, task: Task, x: Tensor) -> SpikingNetwork:
    """Refuse a module, before it is trained, that could not become a spiking network afterwards.

    Args:
        model: the module. scaling: of its rows. task: what it learns.
        x: ``[B, *shape]`` scaled rows, from which a code learns how large activations become.

    Returns:
        The network that it would become as it is.

    Raises:
        ConversionError: as :func:`spikebayes.convert` says.
        ConfigError: nothing in it is random, though the residual noise of a regression is measured beside samples.
    """
    trained = copied(model, ConfigError)  # with activations that are as sharp as they will be
    for module in trained.modules():
        if isinstance(module, Sharpened):
            module.sharpen(1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # said to who converts
        network = Fitted(trained, scaling, task, calibration=x).network()
    if task is Task.REGRESSION and not network.is_random:  # classes may get unreliable synapses afterwards
        raise ConfigError(NOT_RANDOM)
    return network
