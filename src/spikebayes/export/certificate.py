"""A certificate: whether an export keeps the predictive distribution, judged before it is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from spikebayes.evaluate.equivalence import Equivalence, compare
from spikebayes.export.graphs import Graph
from spikebayes.export.masks import masked
from spikebayes.export.nir_reader import network_of
from spikebayes.export.packages import nir_package
from spikebayes.machine.checked_files import write_json
from spikebayes.machine.versions import versions
from spikebayes.network.network import SpikingNetwork
from spikebayes.prediction.inputs import as_inputs
from spikebayes.prediction.predict import predict
from spikebayes.prediction.sampling import Values
from spikebayes.prediction.simulate import argument_shapes
from spikebayes.prediction.task import Task

FORMAT = "spikebayes.certificate/1"
NOT_JUDGED = "not judged"


@dataclass(frozen=True, eq=False)
class Certificate:
    """The certificate beside an export.

    Args:
        outcome: "kept", "not kept" or "undecided", as :func:`spikebayes.compare` judges the exported semantics
            against the module under the same masks; "not judged" where no module was given.
        verdict: the whole verdict; None without a module.
        differs: how the export differs from the network, in words.
        settings: of the export and of the judgement, JSON values.
    """

    outcome: str
    verdict: Equivalence | None
    differs: tuple[str, ...]
    settings: dict[str, Any]

    def __repr__(self) -> str:
        return f"Certificate({self.outcome})"

    def __str__(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """The verdict in a few sentences."""
        if self.verdict is None:
            return (
                "Nothing was judged: whether the export predicts what the module predicts is not known. Give to_nir "
                "the module and rows (model=, x=)."
            )
        return self.verdict.summary()

    def write(self, path: Path, sha256: dict[str, str]) -> None:
        """Write it as JSON.

        Args:
            path: of the file.
            sha256: by name, of the files that it is about.

        Raises:
            ConfigError: the path cannot be written.
        """
        said = {
            "outcome": self.outcome,
            "summary": self.summary(),
            "differs": list(self.differs),
            "settings": self.settings,
            "versions": versions() | {"nir": nir_package("to_nir").version},
            "sha256": sha256,
            "effects": None if self.verdict is None else self.verdict.to_dict(),
        }
        write_json(path, said, FORMAT)


def judged(
    network: SpikingNetwork, graph: Graph, model: nn.Module, x: Values, samples: int, seed: int, task: Task
) -> Equivalence:
    """The verdict on the graph, read back as anyone reads it, against the module under the same masks.

    Args:
        network: that the graph was made of, without a mask in it; the masks are its own.
        samples: S, of each row.
    """
    exported = network_of(graph.graph, {graph.names[n.name]: n.dropout for n in masked(network) if n.dropout})
    rows = zip(as_inputs(x, argument_shapes(network)), argument_shapes(exported), strict=True)
    given = [part.reshape(-1, *shape) for part, shape in rows]
    options: dict[str, Any] = {"samples": samples, "seed": seed, "task": task}
    return compare(predict(model, x, **options), predict(exported, given, **options))
