"""The linear operators a connection may carry: a closed vocabulary, so that a network can be stored without code.

Each is an ``nn.Module`` without bias, acts on ``[R, *shape]`` row by row, and can describe itself
(:meth:`Operator.config`) for ``store.py``. Constants (biases, batch-norm shifts) live on the target instead.
``operator.py`` says what they have in common, and what follows of itself for a new one.
"""

from spikebayes.network.operators.chain import Chain
from spikebayes.network.operators.conv import Conv, patches
from spikebayes.network.operators.dense import Dense, Scale
from spikebayes.network.operators.mixing import Mix
from spikebayes.network.operators.operator import Operator, Shape, WeightRows, size, target_shape
from spikebayes.network.operators.pooling import AdaptiveAvgPool, AvgPool, SumPool
from spikebayes.network.operators.rearranging import Permute, Pick, Place, Reshape, Slice
from spikebayes.network.operators.windows import Windows

__all__ = [
    "AdaptiveAvgPool",
    "AvgPool",
    "Chain",
    "Conv",
    "Dense",
    "Mix",
    "Operator",
    "Permute",
    "Pick",
    "Place",
    "Reshape",
    "Scale",
    "Shape",
    "Slice",
    "SumPool",
    "WeightRows",
    "Windows",
    "patches",
    "size",
    "target_shape",
]
