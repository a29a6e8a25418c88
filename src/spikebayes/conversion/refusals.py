"""Why a call cannot be part of a spiking network, and what to use instead."""

from __future__ import annotations


class Refused(Exception):
    """Why a call cannot be converted, then, behind a semicolon, what to do instead; its node is named elsewhere."""

    @property
    def reason(self) -> str:
        return str(self).partition("; ")[0]

    @property
    def cure(self) -> str:
        return str(self).partition("; ")[2]


CODE = "code=spikebayes.Digits(4, 4)"

#: of what a code tells
TOLD: tuple[tuple[tuple[str, ...], str], ...] = (
    (("maxpool", "max_pool"), f"use AvgPool, or give {CODE}, under which it may stand anywhere"),
    (
        ("gelu", "silu", "mish", "hardswish", "square", "pow"),
        "give code=spikebayes.Graded(8), whose spikes carry the value, or use an activation that never falls",
    ),
    (
        (
            *("relu", "elu", "tanh", "sigmoid", "softplus", "softsign", "shrink", "clamp", "clip", "abs", "exp"),
            *("atan", "erf", "asinh"),
        ),
        f"leave code='lif' out or give {CODE}, by which any activation is told, or use spikebayes.nn.SoftLIF",
    ),
)
HINTS: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("softmax", "softmin"),
        "remove it: the read-out is the logits, and predict gives class probabilities; between layers use Sigmoid",
    ),
    (
        (
            "layernorm",
            "layer_norm",
            "groupnorm",
            "group_norm",
            "instancenorm",
            "instance_norm",
            "rmsnorm",
            "rms_norm",
        ),
        "use BatchNorm, which folds into weights",
    ),
    (("dropout",), "use Dropout, Dropout1d/2d or spikebayes.nn.Permadrop"),
    (
        ("rand", "normal_", "bernoulli", "multinomial", "poisson", "rrelu", "gumbel"),
        "it draws numbers that no seed of a prediction governs: make Dropout the randomness",
    ),
    (("lstm", "gru", "rnn", "attention", "transformer"), "only feed-forward networks can be converted"),
    (
        ("glu",),
        "write it as a, b = x.chunk(2, dim), then a * torch.sigmoid(b), which code=spikebayes.Graded(10) tells",
    ),
    (
        ("swish", "threshold", "heaviside"),
        "use ReLU, or spikebayes.nn.SoftLIF, the rate curve of a spiking neuron, and train with it",
    ),
    (("embedding", "one_hot", "long"), "use one-hot columns and Linear"),
    (("3d",), "only layers of one and two spatial axes can be converted: fold the third into the channels"),
    (("bilinear",), "multiply by fixed tensors only, or concatenate and use Linear"),
    (
        ("bmm", "addmm", "addmv", "tensordot", "inner"),
        "by a fixed tensor, write it as x @ weight + bias or torch.einsum",
    ),
    (
        ("where", "masked_fill"),
        "of a fixed mask it is h * mask; what is chosen by values is an activation",
    ),
    (("argmax", "argmin", "topk", "sort"), "leave it out, and do it with the samples of the prediction"),
    (("maximum", "fmax"), "torch.maximum(a, b) is a + torch.relu(b - a), and torch.maximum(x, 0) is torch.relu(x)"),
    (("minimum", "fmin"), "torch.minimum(a, b) is a - torch.relu(a - b)"),
    (
        ("max",),
        "over positions use F.adaptive_max_pool1d(x, 1), which a code tells; of two values a + torch.relu(b - a)",
    ),
    (
        ("amin", "min"),
        "the least is -F.adaptive_max_pool1d(-x, 1), which a code tells; of two values a - torch.relu(a - b)",
    ),
    (("normalize", "cosine_similarity"), "use BatchNorm, or scale the inputs before"),
    (
        ("setitem",),
        "return what it makes instead of writing into it: torch.cat, F.pad or a product with a fixed mask",
    ),
    (("fft", "stft"), "multiply by its matrix, x @ torch.fft.rfft(torch.eye(n)).real, or do it before the model"),
)
GENERAL = (
    "between activations only linear operations are possible (spikebayes.convert lists them): put "
    "an activation in its place, or do it before the model or with its output"
)


def hint(what: str, is_told: bool) -> str:
    """What to use instead of a layer or function of that name; a code, if one tells it."""
    name = what.lower()
    hints = (*TOLD, *HINTS) if is_told else HINTS
    return next((advice for keys, advice in hints if any(key in name for key in keys)), GENERAL)
