"""The networks of the study: what they are, and where their weights lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from spikebayes.nn import NoisySign, few_bits, zoo
from studies.neftci2017.settings import Learning

S2M, SIGMOID, CONV = "s2m", "sigmoid", "conv"  # trained by the paper's protocol
DROPOUT, RELU = "dropout", "relu"  # what a user would train instead
TUNED = (S2M, SIGMOID)
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class Choice:
    """What validation images chose for a network.

    Args:
        noise: standard deviation, on inputs in [-1, 1]. learning_rate: of RMSprop.
        spans: fixed range of weights by their bits, over the root mean square of the first ones.
    """

    noise: float
    learning_rate: float
    spans: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One training.

    Args:
        kind: of network.
        seed: of its first weights and of its training.
        bits: of its weights; None for float32.
    """

    kind: str
    seed: int = 0
    bits: int | None = None

    @property
    def network(self) -> str:
        """What its seeds have in common."""
        return f"{self.kind}, {self.bits} bits" if self.bits else self.kind

    @property
    def name(self) -> str:
        """Of its stage and folder.

        Example:
            >>> Run("s2m", 1).name, Run("s2m", bits=4).name
            ('s2m, seed 1', 's2m, 4 bits, seed 0')
        """
        return f"{self.network}, seed {self.seed}"

    def epochs(self, s: Learning) -> int:
        """Of its training; at most, if the library's own."""
        return s.conv_epochs if self.kind == CONV else s.few_epochs if self.bits else s.epochs


def network(run: Run, choice: Choice, s: Learning) -> nn.Sequential:
    """An untrained network for images ``[B, 784]`` (``conv``: ``[B, 1, 28, 28]``)."""
    sizes: dict[str, Any] = {"inputs": 784, "outputs": 10, "hidden": s.hidden}
    noise = choice.noise
    makers: dict[str, Callable[[], nn.Sequential]] = {
        S2M: lambda: zoo.s2m(**sizes, keep=s.keep, noise=noise),
        SIGMOID: lambda: zoo.sigmoid_network(**sizes, noise=noise),
        CONV: lambda: zoo.s2m_conv(keep=s.keep, noise=noise),
        DROPOUT: lambda: nn.Sequential(NoisySign(noise), *zoo.mlp(**sizes, dropout=s.dropout)),
        RELU: lambda: nn.Sequential(NoisySign(noise), *zoo.mlp(**sizes, dropout=0.0, activation=nn.ReLU)),
    }
    with torch.random.fork_rng():
        torch.manual_seed(run.seed)
        net = makers[run.kind]()
        if run.bits:
            few_bits(net, run.bits, span=choice.spans[run.bits])
        return net


def rows(kind: str, images: Tensor) -> Tensor:
    """Images as a network takes them."""
    return images if kind == CONV else images.flatten(1)


@dataclass(frozen=True)
class Trained:
    """The networks that training left.

    Args:
        learning: of the networks. choices: by kind of network, of :data:`TUNED`. folder: of their weights.
    """

    learning: Learning
    choices: Mapping[str, Choice]
    folder: Path

    def choice(self, run: Run) -> Choice:
        """What was chosen for a network; the others are given the S2M's noise."""
        return self.choices.get(run.kind, self.choices[S2M])

    def weights(self, run: Run, epoch: int | None = None) -> Path:
        """File of the weights at the end, or after one of the last epochs."""
        return self.folder / run.name / (WEIGHTS if epoch is None else f"{epoch}.safetensors")

    def module(self, run: Run, epoch: int | None = None) -> nn.Sequential:
        """A trained network."""
        net = network(run, self.choice(run), self.learning)
        net.load_state_dict(load_file(self.weights(run, epoch)))
        return net.eval()
