"""The columns to predict: found by name, numbers or classes, and the rows that have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from spikebayes.data.cells import AMOUNTS, FLAGS, cure, is_missing, number, quantity, whole
from spikebayes.data.columns import (
    NO_HEADER,
    as_written,
    checked_labels,
    distinct_labels,
    holds_values,
    listed,
    one_line,
    to_labels,
    to_numbers,
)
from spikebayes.data.encoding import read_columns
from spikebayes.data.kinds import Levels, Number, offset_of
from spikebayes.data.row_numbers import numbering
from spikebayes.errors import DataError
from spikebayes.machine.choices import near
from spikebayes.machine.numbers import check_spread
from spikebayes.prediction.task import Task

FEW = 20  # levels of text that get an input each; more are encoded by the target
DISTINCT = 0.9  # levels for each row: what tells rows apart says nothing of others
LEVELS = 1000  # of a column; with more, most are met too rarely to be learned. As many classes as ImageNet has
CLASSES, EACH = 10, 5  # whole numbers that are classes: at most so many, with so many rows each on average


def target_columns(target: str | Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """The columns to predict: one, or several separated by commas or in a sequence.

    Raises:
        DataError: one that is not there, or none.

    Example:
        >>> target_columns("a, b", ["a", "b", "c"]), target_columns("a,b", ["a,b", "c"])
        (('a', 'b'), ('a,b',))
    """
    if isinstance(target, str):
        parts = [part.strip() for part in target.split(",")]
        target = parts if target not in names and len(parts) > 1 else [target]
    for name in target:
        if name not in names:
            known = listed(map(repr, names), 20)
            above = f"; {NO_HEADER}" if len(names) == 1 else ""
            raise DataError(f"no target column {name!r}{near(name, names)}; the columns are {known}{above}")
    if not target or len(set(target)) < len(target):
        raise DataError(f"the targets must be one or more columns, each named once; got {list(target)}")
    return tuple(target)


def rows_with_target(
    frame: pd.DataFrame,
    targets: Sequence[str],
    kinds: Mapping[str, Number | Levels] | None = None,
    task: Task | None = None,
) -> np.ndarray:
    """The numbers of those rows whose targets are all there: from the others nothing can be learned.

    Among numbers a word such as NA or none says that one is missing; among labels it is one.

    Args:
        frame: a table. targets: its columns.
        kinds: theirs, once they were learned.
        task: None finds out by the values.
    """
    there = np.ones(len(frame), bool)
    for name in targets:
        column, written = pd.Series(frame[name]), as_written(frame)
        kind = None if kinds is None else kinds[name]
        numbers = None if kind is not None or task is Task.CLASSIFICATION else Number.found(column, written)
        if isinstance(kind, Number):
            values, wrong = to_numbers(column, kind.decimal, kind.marks, written)
            there &= ~np.isnan(values) | wrong
        elif numbers is not None:
            there &= ~np.isnan(numbers[1])
        else:
            classes = () if kind is None else kind.levels
            words = kind is None or any(map(is_missing, classes))  # whether such a word is a label
            there &= [label is not None and (words or not is_missing(label)) for label in to_labels(column)]
    return np.flatnonzero(there)


def predicted_columns(
    frame: pd.DataFrame, targets: Sequence[str], task: Task, learned_on: np.ndarray
) -> dict[str, Number | Levels]:
    """What is predicted: numbers, or the classes of one column."""
    if task is Task.CLASSIFICATION:
        if len(targets) > 1:
            raise DataError(f"several targets must be numbers; classes are those of one column; got {list(targets)}")
        labels = checked_labels(frame, targets, targets)[targets[0]]
        classes = distinct_labels(labels)
        check_count(targets[0], classes, "classes", "group them, or predict a number (--task regression)")
        _check_varies(targets[0], labels)
        _check_repeats(targets[0], labels, len(classes))
        return {targets[0]: Levels(classes, holds_values(frame, targets[0]))}
    kinds = {name: (Number.found(pd.Series(frame[name]), as_written(frame)) or [Number()])[0] for name in targets}
    hint = "a target of labels needs the classification task"
    found: dict[str, Number | Levels] = {}
    for name, values in read_columns(frame, kinds, tuple(targets), hint).items():
        _check_varies(name, values)
        check_spread(float(values[learned_on].std()) or 1.0, f"the target {name!r}")
        found[name] = replace(kinds[name], offset=offset_of(values[learned_on]))
    return found


def tells_apart(levels: int, rows: int) -> bool:
    """Whether labels are (nearly) one for each row."""
    return levels > max(FEW, DISTINCT * rows)


def _check_varies(name: str, values: np.ndarray) -> None:
    if len(set(values.tolist())) < 2:
        raise DataError(f"the target {name!r} is constant ({values[0]} on every row): nothing to learn")


def _check_repeats(name: str, labels: np.ndarray, classes: int) -> None:
    """Refuse labels that tell rows apart, and so say nothing of others."""
    if tells_apart(classes, len(labels)):
        raise DataError(
            f"the target {name!r} has {classes} classes in {len(labels)} rows: it only identifies rows; group them, "
            "or choose another target"
        )


def read_task(frame: pd.DataFrame, target: str) -> Task:
    """Regression for numbers, classification for labels and few whole ones; words among numbers are neither."""
    column, written = pd.Series(frame[target]), as_written(frame)
    found = pd.api.types.infer_dtype(column, skipna=True)
    known = {row: label for row, label in enumerate(to_labels(column, written)) if label and not is_missing(label)}
    distinct = set(known.values())
    if found in ("boolean", "categorical") or {label.casefold() for label in distinct} <= set(FLAGS):
        return Task.CLASSIFICATION
    if found == "string" and not written and all(number(label) is not None for label in distinct):
        return Task.CLASSIFICATION  # whoever keeps numbers as text means labels
    if Number.found(column, written) is not None:
        few = len(distinct) <= min(CLASSES, len(column) / EACH) and all(map(whole, distinct))
        return Task.CLASSIFICATION if few else Task.REGRESSION
    words = [row for row, label in known.items() if quantity(label) is None]
    value, labels = column.iloc[words[0]], "for labels name the task (--task classification)"
    how, where = cure(value), f"row {numbering(frame)(words[0])}: {one_line(repr(value))}"
    if len(words) < len(known):
        raise DataError(f"the target {target!r} mixes numbers and text ({where}); {how or 'correct it'}, or {labels}")
    if how in AMOUNTS:
        raise DataError(f"the target {target!r} holds no plain numbers ({where}); {how}; {labels}")
    return Task.CLASSIFICATION


def check_count(name: str, levels: Sequence[str], what: str, way: str) -> None:
    if len(levels) > LEVELS:
        raise DataError(f"column {name!r} has {len(levels)} {what}; at most {LEVELS} can be learned: {way}")
