"""``torch_loop`` as its users mostly write it: the constant input goes through the first layer in every step.

Otherwise the same. The plain entry of that name computes what an input contributes once in a run.
"""

from __future__ import annotations

from benchmarks.peers.torch_loop import TorchLoop


class TorchLoopEachStep(TorchLoop):
    name = "torch_loop_each_step"
    each_step = True


PEER = TorchLoopEachStep()
