"""ServedModel: a run and its network as a model of the protocol, with tensors in and tensors out.

A request is a prediction of its own: its rows are numbered from 0, and it is made in parts of some rows each, between
which other requests have their turn. As every draw is a function of seed, sample, site and row, and moments are taken
when all samples are there, its bits are those of ``predict`` on these rows, whatever else is asked meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikebayes.app.server.answers import answers, unasked
from spikebayes.app.server.request import Asked
from spikebayes.app.server.table_tensors import as_table, input_entries, tensor_entry
from spikebayes.app.server.tensors import datatype_of, described
from spikebayes.app.table_run import Spiking, TableRun
from spikebayes.data.columns import listed
from spikebayes.data.encoding import encode_and_mark
from spikebayes.errors import ConfigError
from spikebayes.machine.choices import near
from spikebayes.machine.heard import heard
from spikebayes.machine.numbers import check_count
from spikebayes.noise.philox import split_seed
from spikebayes.prediction.conformal import check_coverage
from spikebayes.prediction.predictive import COVERAGE, Predictive

VERSION = "1"
OUTSIDE = "outside"  # the output that is read from a request's rows alone
PAIRS = 4096  # of samples and rows in a part, which takes a fraction of a second


@dataclass(frozen=True, eq=False)
class Work:
    """A request that was understood.

    Args:
        x: ``[B, F]``, its rows as the network takes them, but for their scaling.
        outside: ``[B]``, names of columns outside of training.
        samples, seed, coverage: of the prediction.
        outputs: by name, whether in bytes.
        id: of the request.
        said: what was warned of, which the client is told, by its words without numbers: parts differ in these alone.
    """

    x: Tensor
    outside: np.ndarray
    samples: int
    seed: int
    coverage: float
    outputs: dict[str, bool]
    id: str | None = None
    said: dict[str, str] = field(default_factory=dict)

    def parts(self) -> Iterator[Tensor]:
        """``[b]``, numbers of the rows that are predicted together."""
        return iter(torch.arange(len(self.x)).split(max(1, PAIRS // self.samples)))


@dataclass(frozen=True, eq=False)
class ServedModel:
    """What answers requests.

    Args:
        name: that clients know it by.
        run: what was trained.
        network: of the run, or None for the module.
        samples, seed, coverage: of requests that do not say.
        most_rows, most_samples: of a request.
        settings: as for :func:`spikebayes.predict`.

    Raises:
        ConfigError: a setting out of range.
    """

    name: str
    run: TableRun
    network: Spiking | None
    samples: int = 100
    seed: int = 0
    coverage: float = COVERAGE
    most_rows: int = 4096
    most_samples: int = 1000
    settings: Mapping[str, Any] = field(default_factory=dict)
    known: dict[str, np.ndarray] = field(init=False)  # every output, of one row

    def __post_init__(self) -> None:
        """Predict a row, which compiles the kernels."""
        check_count("max_rows", self.most_rows, 1)
        check_count("max_samples", self.most_samples, 1)
        self._check(self.samples, self.seed, self.coverage)
        middle, nothing = self.run.fitted.scaling.x_mean[None], np.array([""], object)
        work = Work(middle, nothing, self.samples, self.seed, self.coverage, {})
        made = [self.predict(work, rows) for rows in work.parts()]
        object.__setattr__(self, "known", self._answers(work, made))

    def metadata(self) -> dict[str, Any]:
        """What the protocol says of a model; ``parameters`` name features, and targets or classes, in their order."""
        schema = self.run.schema
        named = {"features": list(schema.features)}
        named["classes" if schema.classes else "targets"] = list(schema.output_names)
        shapes = {n: [-1] * max(1, a.ndim - 1) + list(a.shape[1:][-1:]) for n, a in self.known.items()}
        outputs = [tensor_entry(name, datatype_of(a), shapes[name]) for name, a in self.known.items()]
        told = {"name": self.name, "versions": [VERSION], "platform": "spikebayes", "parameters": named}
        return told | {"inputs": input_entries(schema), "outputs": outputs}

    def understood(self, asked: Asked) -> Work:
        """A request, once all that can be wrong with it has been looked for.

        Raises:
            DataError, ConfigError: say what is.
        """
        given = asked.parameters
        settings = {name: getattr(given, name) for name in ("samples", "seed", "coverage")}
        settings = {name: getattr(self, name) if value is None else value for name, value in settings.items()}
        self._check(**settings)
        outputs = asked.outputs
        if outputs is None:
            outputs = dict.fromkeys(unasked(self.known, self.run.schema.task), given.binary_data_output)
        for name in outputs:
            if name not in self.known:
                raise ConfigError(
                    f"there is no output {name!r}{near(name, self.known)}; known are {listed(self.known, 12)}"
                )
        table = as_table(asked.inputs, self.run.schema)
        if len(table) > self.most_rows:
            raise ConfigError(f"a request has at most {self.most_rows} rows; got {len(table)}: send fewer")
        x, outside = encode_and_mark(table, self.run.schema)
        return Work(x, np.array(outside, object), outputs=outputs, id=asked.id, **settings)

    def predict(self, work: Work, rows: Tensor) -> Predictive:
        """Some rows of a request."""
        settings = {"samples": work.samples, "seed": work.seed, "rows": rows, **self.settings}
        with heard(work.said):
            return self.run.predict_encoded(work.x[rows], self.network, **settings)

    def answer(self, work: Work, parts: Sequence[Predictive]) -> tuple[dict[str, Any], bytes]:
        """The JSON of a response, and the bytes behind it."""
        found = self._answers(work, parts)
        entries, behind = described({name: found[name] for name in work.outputs}, work.outputs)
        parameters: dict[str, Any] = {"samples": work.samples, "seed": work.seed, "coverage": work.coverage}
        if work.said:
            parameters["warning"] = "; ".join(work.said.values())
        told = {"model_name": self.name, "model_version": VERSION, "parameters": parameters, "outputs": entries}
        return told | ({} if work.id is None else {"id": work.id}), behind

    def _answers(self, work: Work, parts: Sequence[Predictive]) -> dict[str, np.ndarray]:
        whole = _joined(parts)
        with heard(work.said):
            found = answers(replace(whole, samples=self.run.in_units(whole.samples)), work.coverage)
        return found | {OUTSIDE: work.outside}

    def _check(self, samples: int, seed: int, coverage: float) -> None:
        check_count("samples", samples, 1, self.most_samples, "fewer are nearly as good")
        split_seed(seed)
        check_coverage(coverage)


def _joined(parts: Sequence[Predictive]) -> Predictive:
    """Predictions of some rows each as one of all."""
    first = parts[0]
    rows = torch.cat([part.draw.rows for part in parts])
    changed: dict[str, Any] = {"samples": torch.cat([part.samples for part in parts], 1)}
    told = [part.noise_samples for part in parts if part.noise_samples is not None]
    if told:
        changed |= {"noise_samples": torch.cat(told, 1), "noise_std": None}
    return replace(first, draw=replace(first.draw, rows=rows), **changed)
