"""What a reader wants first: what was predicted, how good that is, how sure, and where it is least so."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from spikebayes.app.report.contents import ReportData
from spikebayes.app.report.words import ABSENT, number, percent
from spikebayes.data.columns import listed, one_line
from spikebayes.evaluate.groups import coverage_by_group
from spikebayes.evaluate.row_scores import r_squared, rmse
from spikebayes.evaluate.scores import LEVEL, is_of_observations
from spikebayes.machine.bars import parted
from spikebayes.prediction.task import Task

MISSED = "✗"  # an observation that is not as predicted
LEAST = 10  # rows that are named
MOST_OUTPUTS = 3  # whose scores stand at the top
MOST_CLASSES = 12  # of a confusion matrix


@dataclass(frozen=True)
class Tile:
    """A figure at the top of the page: its value, what it is, and what to hold it against."""

    value: str
    name: str
    beside: str = ""


@dataclass(frozen=True)
class Table:
    """A table ready to show: a heading for each column, whether it holds numbers, and cells as text."""

    columns: tuple[tuple[str, bool], ...]
    rows: tuple[tuple[str, ...], ...]


def tiles(data: ReportData) -> list[Tile]:
    """How good and how certain the spiking network is, in a few figures."""
    classes, rows = data.classical.task is Task.CLASSIFICATION, len(data.verdict.rows)
    if data.targets is None:
        said = [Tile(f"{rows:,}", "rows predicted", "their targets are not known")]
    else:
        said = _of_classes(data, data.targets) if classes else _of_values(data, data.targets)
        holds = f"of {LEVEL:.0%} sets contain the class"
        if not classes:
            holds = f"of observations in their {LEVEL:.0%} interval{of_output(data, data.output)}"
        every = coverage(data)[0][0]
        said.append(Tile(every["share"], holds, every["said"]))
    if classes:
        said.append(
            Tile(number(float(data.spiking.sets(LEVEL).sum(1).double().mean())), "classes in a set, on average")
        )
    else:
        lower, upper = data.spiking.interval(LEVEL)
        middle = number(float(np.median((upper - lower)[:, data.output])))
        said.append(Tile(middle, f"median width of a {LEVEL:.0%} interval{of_output(data, data.output)}"))
    if data.outside is not None:
        found = sum(map(bool, data.outside))
        said.append(Tile(f"{found:,} of {rows:,}", "rows outside the training data"))
    return said


def sureness(data: ReportData) -> str:
    """What the intervals or sets rest on, in a sentence."""
    classes, known = data.classical.task is Task.CLASSIFICATION, data.spiking.conformal
    what = f"A set should contain the right class in {LEVEL:.0%} of rows" if classes else (
        f"An interval should contain {LEVEL:.0%} of new observations"
    )  # fmt: skip
    if known is not None:
        return f"{what}; it is calibrated on {known.rows} rows that were held out of the training."
    if classes or is_of_observations(data.spiking):
        return f"{what}; it rests on samples and noise, not calibrated on held-out rows, and may contain fewer."
    return f"An interval contains {LEVEL:.0%} of the network's samples, without the noise of observations."


def coverage(data: ReportData) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """How often intervals or sets hold what was observed: over all rows, and by quintile of the predicted std.

    The drawn output's, as text: ``group``, ``rows``, ``share``, ``bounds``, ``width`` and ``said``.
    """
    assert data.targets is not None
    rows = len(data.verdict.rows)
    found = []
    for groups in (np.zeros(rows, int), None):
        lines = coverage_by_group(data.spiking, data.targets, groups, coverage=LEVEL)
        if "output" in lines:
            lines = lines.loc[lines["output"] == data.spiking.names[data.output]]
        found.append(
            [
                {
                    "group": str(line["group"]),
                    "rows": f"{line['rows']:,}",
                    "share": percent(line["coverage"]),
                    "bar": f"{100 * line['coverage']:.1f}",
                    "bounds": _bounds(line["lowest"], line["highest"]),
                    "width": number(float(line["width"])),
                    "said": _against(line["lowest"], line["highest"]),
                }
                for line in lines.to_dict(orient="records")
            ]
        )
    if len(found[1]) > 1:
        found[1][0]["group"] += " (most certain)"
        found[1][-1]["group"] += " (least certain)"
    return found[0], found[1]


def least_certain(data: ReportData) -> Table:
    """The rows whose prediction is least certain, least certain first."""
    side, classes = data.spiking, data.spiking.task is Task.CLASSIFICATION
    unsure = side.entropy if classes else side.std[:, data.output]
    order = unsure.argsort(descending=True, stable=True)[:LEAST].tolist()
    columns, cells = _class_cells(data, order) if classes else _value_cells(data, order)
    if data.outside is not None and any(data.outside[at] for at in order):
        columns.append(("Outside in", False))
        cells = [[*cell, _columns(data.outside[at])] for cell, at in zip(cells, order, strict=True)]
    numbered = ((str(int(side.draw.rows[at])), *cell) for at, cell in zip(order, cells, strict=True))
    return Table((("Row", False), *columns), tuple(numbered))


def _class_cells(data: ReportData, order: list[int]) -> tuple[list[tuple[str, bool]], list[list[str]]]:
    """Of these rows the class, the likeliest ones, the set and what was observed."""
    names, mean, sets = data.spiking.names, data.spiking.mean, data.spiking.sets(LEVEL)
    columns, cells = [("Class", False), ("Probabilities", False), (f"{LEVEL:.0%} set", False)], []
    for at in order:
        best = int(mean[at].argmax())
        likeliest = "\xa0· ".join(f"{names[k]}:\xa0{mean[at, k]:.2f}" for k in _likeliest(mean[at]))
        cells.append([names[best], likeliest, ", ".join(names[k] for k in sets[at].nonzero()[:, 0].tolist())])
        if data.targets is not None:
            cells[-1].append(_observed(names[int(data.targets[at])], int(data.targets[at]) == best))
    return [*columns, *([("Observed", False)] if data.targets is not None else [])], cells


def _value_cells(data: ReportData, order: list[int]) -> tuple[list[tuple[str, bool]], list[list[str]]]:
    """Of these rows mean, interval and std of the drawn output, and what was observed."""
    side, c = data.spiking, data.output
    lower, upper = side.interval(LEVEL)
    names, cells = ["Mean", "Lower", "Upper", "Std"], []
    for at in order:
        cells.append([number(float(part[at, c])) for part in (side.mean, lower, upper, side.std)])
        if data.targets is not None:
            y = float(data.targets.reshape(len(lower), -1)[at, c])
            cells[-1].append(_observed(number(y), float(lower[at, c]) <= y <= float(upper[at, c])))
    return [(name, True) for name in (*names, *(["Observed"] if data.targets is not None else []))], cells


def _observed(value: str, as_predicted: bool) -> str:
    return value if as_predicted else f"{value} {MISSED}"


def outside(data: ReportData) -> tuple[str, Table | None]:
    """The rows outside what was trained on: how many in which columns, and the first of them."""
    if data.outside is None:
        return "", None
    found = [(int(row), names) for row, names in zip(data.spiking.draw.rows, data.outside, strict=True) if names]
    if not found:
        return "All rows are like the training data: no number beyond its range, no new level or missing value.", None
    counts = Counter(name for _, names in found for name in parted(names))
    by = listed((f"{one_line(name)} ({count})" for name, count in counts.most_common()), LEAST)
    first = f" The first {LEAST}:" if len(found) > LEAST else ""
    said = (
        f"{len(found):,} of {len(data.outside):,} rows have a value unlike any in the training data, by column: {by}"
        f". Predictions for them are extrapolations.{first}"
    )
    rows = tuple((str(row), _columns(names)) for row, names in found[:LEAST])
    return said, Table((("Row", False), ("Columns", False)), rows)


@dataclass(frozen=True)
class Confusion:
    """Observed classes by predicted ones; without ``counts``, of too many classes, the commonest mistakes alone.

    Args:
        names: of the K classes.
        counts: ``[K][K]``, rows by observed and predicted class.
        mistakes: observed class, predicted class, rows.
    """

    names: tuple[str, ...]
    counts: list[list[int]]
    mistakes: Table


def confusion(data: ReportData) -> Confusion | None:
    """What the spiking network takes for what; None without known classes."""
    if data.targets is None or data.classical.task is not Task.CLASSIFICATION:
        return None
    names, k = data.spiking.names, len(data.spiking.names)
    pairs = data.targets.long() * k + data.spiking.mean.argmax(-1)
    counts = np.bincount(pairs.numpy(), minlength=k * k).reshape(k, k)
    wrong = counts * (1 - np.eye(k, dtype=int))
    commonest = np.argsort(-wrong, axis=None, kind="stable")[:LEAST]
    mistakes = [(names[at // k], names[at % k], f"{wrong.flat[at]:,}") for at in commonest if wrong.flat[at]]
    columns = (("Observed", False), ("Predicted", False), ("Rows", True))
    return Confusion(names, counts.tolist() if k <= MOST_CLASSES else [], Table(columns, tuple(mistakes)))


def _of_values(data: ReportData, targets: Tensor) -> list[Tile]:
    y = targets[:, None] if targets.ndim == 1 else targets
    error, explained = rmse(data.spiking.mean, y), r_squared(data.spiking.mean, y)
    naive = np.sqrt(np.var(np.asarray(y, dtype=np.float64), axis=0))
    outputs = range(y.shape[1]) if y.shape[1] <= MOST_OUTPUTS else [data.output]
    said = []
    for c in outputs:
        of = of_output(data, c)
        beside = f"root mean square; {number(float(naive[c]))} if their mean were predicted"
        said.append(Tile(number(float(error[c])), f"error (RMSE){of}", beside))
        said.append(Tile(number(float(explained[c])), f"R²{of}", "1 is perfect, 0 no better than their mean"))
    return said


def _of_classes(data: ReportData, targets: Tensor) -> list[Tile]:
    right = int((data.spiking.mean.argmax(-1) == targets).sum())
    rows, commonest = len(targets), int(targets.long().bincount().max())
    beside = f"{right:,} of {rows:,} rows; {percent(commonest / rows)} if the most common class were predicted"
    return [Tile(percent(right / rows), "right (accuracy)", beside)]


def _against(lowest: float, highest: float) -> str:
    """A coverage's bounds against what was asked."""
    if lowest <= LEVEL <= highest:
        return f"as asked, as far as these rows can tell ({_bounds(lowest, highest)})"
    return f"{'fewer' if highest < LEVEL else 'more'} than asked ({_bounds(lowest, highest)})"


def _bounds(lowest: float, highest: float) -> str:
    return f"{100 * lowest:.0f} to {100 * highest:.0f}%"


def of_output(data: ReportData, output: int) -> str:
    """Which output a figure is of, in words; nothing where there is one, or classes."""
    if data.spiking.task is Task.CLASSIFICATION:
        return ""
    return f" of {one_line(data.spiking.names[output])}" if len(data.spiking.names) > 1 else ""


def _likeliest(p: Tensor) -> list[int]:
    """The three classes of the highest probability, without those of next to none."""
    return [k for k in p.argsort(descending=True, stable=True)[:3].tolist() if p[k] >= 0.005]


def _columns(names: str) -> str:
    return listed(one_line(name) for name in parted(names)) if names else ABSENT
