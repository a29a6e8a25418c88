"""Predictions of a table of any length: rows in, rows out, some at a time; what is finished outlives a kill."""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from spikebayes.app.finished_parts import finished_parts
from spikebayes.app.run_folder import DESCRIPTION
from spikebayes.app.table_run import Spiking, TableRun
from spikebayes.app.table_task import COPIES
from spikebayes.data.chunks import read_chunks
from spikebayes.data.encoding import encode_and_mark, outside_training, rows_at_once
from spikebayes.errors import ConfigError
from spikebayes.machine.heard import heard
from spikebayes.machine.memory import check_memory
from spikebayes.machine.progress import Bar
from spikebayes.machine.versions import versions
from spikebayes.prediction.cluster import connected
from spikebayes.prediction.conformal import check_coverage
from spikebayes.prediction.predictive import COVERAGE, open_levels
from spikebayes.prediction.task import Task

UNCALIBRATED = "intervals and sets rest on samples and noise alone, and may contain fewer new observations than asked"
NUMBERS, ROWS = 1 << 21, 1 << 16  # most samples, and most rows, of a part


def predict_table(
    run: TableRun,
    folder: Path,
    data: Path,
    out: Path,
    *,
    network: Spiking | None,
    given: Mapping[str, Any],
    samples: int,
    coverage: float = COVERAGE,
    quantiles: Sequence[float] = (),
    resume: bool,
    say: Callable[[str], None],
    cluster: str | None = None,
    **settings: Any,
) -> tuple[int, int, str]:
    """Predict every row of a table file into another, in memory that does not grow with the rows.

    The rows are read twice: all of them are looked at before the first is predicted.

    Args:
        run: what was trained; ``folder`` is where it is stored.
        data: table to read.
        out: table to write, whole or not at all.
        network: of the run, or None for the module.
        given: settings that the predictions hang on, as JSON.
        samples: of a row.
        coverage: of intervals and sets. quantiles: of a new observation, a column each.
        resume: go on with what an interrupted call has finished.
        say: told what becomes of that.
        cluster: processes that share the work, see :func:`spikebayes.distribute`.
        settings: as for :func:`spikebayes.predict`.

    Returns:
        How many rows, how many of them lie outside what was trained on (which the column ``outside`` says), and what
        predicted them.

    Raises:
        DataError: a table that cannot be read or understood; the message names the row.
        ConfigError: a setting out of range, quantiles of classes, or parts of something else to resume.
    """
    check_coverage(coverage)
    if run.predictor.conformal is None:
        say(f"{folder} has no calibration rows: {UNCALIBRATED}")
    open_levels(quantiles)
    if quantiles and run.schema.task is Task.CLASSIFICATION:
        raise ConfigError("quantiles are for values; the run predicts classes: leave --quantiles out")
    each = max(1, samples) * run.architecture["outputs"]
    check_memory(COPIES * each, f"{samples} samples of a row", "take fewer samples")
    most = max(1, min(ROWS, rows_at_once(run.schema)))
    rows = max(1, min(most, NUMBERS // each))
    counts = Counter(
        bool(names) for chunk in read_chunks(data, most) for names in outside_training(chunk, run.schema)
    )
    total = counts.total()
    table = _digest(data)
    made_of = {"run": _digest(folder / DESCRIPTION), "table": table, **given, "samples": samples}
    made_of |= {"coverage": coverage, "quantiles": list(quantiles)}
    made_of |= {"rows of a part": rows, "versions": versions()}
    by, first = "", 0
    said: dict[str, str] = {}  # what is unusual is said once
    with ExitStack() as stack:
        workers = None if cluster is None else stack.enter_context(connected(cluster))
        parts = stack.enter_context(finished_parts(out, made_of, rows, total, resume=resume, say=say))
        before = parts.count
        with Bar("predicting", total, min(before * rows, total)) as bar:
            for number, chunk in enumerate(read_chunks(data, rows)):
                indices = torch.arange(first, first + len(chunk))
                first += len(chunk)
                if number >= before:
                    x, outside = encode_and_mark(chunk, run.schema)
                    with heard(said) as new:
                        made = run.predict_inputs(
                            x, network, samples=samples, rows=indices, cluster=workers, **settings
                        )
                        frame = made.to_pandas(quantiles, coverage)
                    for text in new:
                        warnings.warn(text, stacklevel=2)
                    by = made.settings.get("engine", "the classical network")
                    parts.add(frame.assign(outside=outside))
                    bar.advance(len(chunk))
        if first != total or _digest(data) != table:
            parts.discard()
            raise ConfigError(f"{data} was changed while it was read; leave it as it is, and start afresh")
    return total, counts[True], by or "before the interruption"


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
