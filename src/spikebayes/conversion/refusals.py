"""Why a call cannot be part of a spiking network, and what to use instead."""

from __future__ import annotations


class Refused(Exception):
    """Why a call cannot be converted; ``convert.py`` adds the node's name."""


HINTS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("maxpool", "max_pool"), "use AvgPool"),
    (("softmax",), "remove it: the read-out is the logits, and predict gives class probabilities"),
    (
        ("layernorm", "layer_norm", "groupnorm", "group_norm", "instancenorm"),
        "use BatchNorm, which folds into weights",
    ),
    (
        ("relu", "gelu", "silu", "elu", "tanh", "sigmoid", "softplus", "swish", "mish"),
        "use spikebayes.nn.SoftLIF, the rate curve of a spiking neuron, and train with it",
    ),
    (("embedding",), "use one-hot columns and Linear"),
    (("dropout",), "use Dropout, Dropout1d/2d or spikebayes.nn.Permadrop"),
    (("lstm", "gru", "rnn", "attention", "transformer"), "only feed-forward networks can be converted"),
)


def hint(what: str) -> str:
    """What to use instead of a layer or function of that name."""
    name = what.lower()
    for keys, advice in HINTS:
        if any(key in name for key in keys):
            return advice
    return "between activations only linear operations are possible; see spikebayes.convert for the list"
