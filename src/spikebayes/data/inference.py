"""The kinds of a training table's columns, inferred from their values, and what is learned from its rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from spikebayes.data.cells import CURRENCY, FLAGS, POINT, UNIT, cure, is_missing
from spikebayes.data.columns import (
    NUMBERS,
    as_written,
    column_names,
    distinct_labels,
    holds_values,
    listed,
    to_labels,
)
from spikebayes.data.dates import ISO, Date, date_format
from spikebayes.data.encoding import encode_target, outcomes, read_columns
from spikebayes.data.kinds import GONE, Column, Dropped, Levels, Number, TargetEncoded, offset_of
from spikebayes.data.schema import TableSchema
from spikebayes.data.signs import zones
from spikebayes.data.targets import FEW, check_count, predicted_columns, read_task, target_columns, tells_apart
from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.arguments import checked
from spikebayes.machine.choices import near, unknown
from spikebayes.machine.kinds import Indices
from spikebayes.prediction.task import Task

WORDS = 0.1  # of a column's cells that may be no numbers, if the others are; they are taken as missing
NUMBER, BOOLEAN, CATEGORY, TARGET, DATE, DROP = "number", "boolean", "levels", "target-encoded", "date", "drop"
KEY = re.compile(
    r"(?i:(.*[\W_])?(id|index|row|rowid|rownames?|unnamed: 0))|.*[a-z]I[dD]"
)  # names that databases give
CONSTANT, EMPTY = "it is constant", "it has no values"
CHOICES = (NUMBER, CATEGORY, TARGET, DATE, BOOLEAN, DROP)


@checked
def infer_schema(
    frame: pd.DataFrame,
    target: str | Sequence[str],
    categorical: Sequence[str] = (),
    task: Task | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    rows: Indices | None = None,
) -> TableSchema:
    """Infer from their values what the training table's columns are to a model; printed, one line.

    Every column but the targets is a feature, in the table's order: a number; true or false; labels, with an input
    for each of up to 20 levels, or target-encoded if there are more; a date or time. Missing numbers and dates become
    the median, with an input that says so; a missing label is a level. Columns that are constant, without values, or
    whose text is (nearly) all distinct, or whole numbers all distinct under a name such as id, are dropped. Text
    counts as a number despite currency and percent signs, digit groups, decimal commas, and up to a tenth of other
    words, which are then missing values. Commas that could group thousands or be decimal, as in 1,234, are decimal if
    those of another column can be nothing else.

    Without a task, a target of numbers means regression and any other (text, booleans, categories) classification;
    whole numbers of at most 10 values, in 5 rows each on average, mean classification too.

    Args:
        frame: B >= 2 rows, whose targets are all there.
        target: the column to predict, or several of numbers, as a sequence or separated by commas.
        categorical: the features that hold labels, each level an input; short for ``columns``.
        task: the task, by its value too (``"regression"``), or None to read it from the target.
        columns: kinds of features by name, where they are not to be inferred: ``"number"``, ``"levels"``,
            ``"target-encoded"``, ``"date"`` (or ``"date %d/%m/%Y"``, as strptime has it), ``"boolean"``, ``"drop"``.
        rows: those that medians, spans, levels and means of the target are learned from; None takes all. Kinds of
            columns and classes are inferred from all rows.

    Raises:
        DataError: a named column that the table lacks; no feature; fewer than 2 rows; text in a column that was
            named a number or a date; percent signs on some numbers of a column alone, several currencies in one, or
            time zones on some of its times; infinite values; missing targets; more than :data:`LEVELS` levels or
            classes; a target with a single value.
        ConfigError: an unknown task or kind, or a kind given for the target.

    Example:
        >>> frame = pd.DataFrame({"size": [1.0, 2.0, 2.5], "color": ["red", "blue", "red"], "price": [3.0, 4.0, 5.5]})
        >>> print(infer_schema(frame, "price"))
        size: number; color: 2 levels; to predict: price (number)
        >>> infer_schema(frame, "price", columns={"size": "drop"}).input_names
        ('color=blue', 'color=red')
    """
    if task is not None and task not in tuple(Task):
        raise ConfigError(unknown("task", task, Task))
    names = column_names(frame)
    targets = target_columns(target, names)
    given = _given(names, targets, categorical, columns or {})
    features = [name for name in names if name not in targets]
    if not features:
        raise DataError(f"no feature is left: {target!r}, the target, is the table's only column")
    if len(frame) < 2:
        raise DataError(f"the table has {'one row' if len(frame) else 'no rows'}; training needs at least 2")
    learned_on = np.arange(len(frame)) if rows is None else rows.numpy()
    if task is None:
        task = read_task(frame, targets[0]) if len(targets) == 1 else Task.REGRESSION
    task = Task(task)  # which may come as text
    predicted = predicted_columns(frame, targets, task, learned_on)
    kinds = {name: _find(frame, name, given.get(name)) for name in features}
    if any(isinstance(kind, Number) and kind.decimal == "," for kind in (kinds | predicted).values()):
        kinds |= {name: found for name, (found, _) in _with_commas(frame, kinds).items()}
        for name, (found, numbers) in _with_commas(frame, predicted).items():
            predicted[name] = replace(found, offset=offset_of(numbers[learned_on]))
    values = read_columns(frame, kinds, hint="correct it, or name the column's kind under --columns")
    untold = TableSchema(kinds, predicted, task)
    y = outcomes(encode_target(frame.iloc[learned_on], untold), task, len(untold.classes))
    told = untold.output_names[-y.shape[1] :]
    found = {name: _learned(name, kinds[name], values[name][learned_on], given.get(name), y, told) for name in values}
    schema = TableSchema(kinds | found, predicted, task)
    if not schema.features:
        why = listed(f"{name!r} is {column}" for name, column in schema.columns.items())
        raise DataError(f"no feature is left: {why}; name the kind of one that is to be used under --columns")
    return schema


def _given(
    names: Sequence[str], targets: Sequence[str], categorical: Sequence[str], columns: Mapping[str, str]
) -> dict[str, str]:
    """The kinds that were named, by feature."""
    given = dict.fromkeys(categorical, CATEGORY) | dict(columns)
    for name, kind in given.items():
        if name in targets:
            raise DataError(f"the target {name!r} cannot be a categorical feature; for classes, choose the task")
        if name not in names:
            what = "categorical column" if name in categorical else "column"
            raise DataError(f"no {what} {name!r}{near(name, names)}")
        if kind not in CHOICES and not (isinstance(kind, str) and kind.startswith(f"{DATE} %")):
            raise ConfigError(unknown(f"the kind of column {name!r}", kind, CHOICES))
    return given


def _find(frame: pd.DataFrame, name: str, given: str | None) -> Column:
    """A column's kind, nothing learned yet: found in its values, or that which was given."""
    column, labels = pd.Series(frame[name]), Levels((), holds_values(frame, name))
    if given == DROP:
        return Dropped("as asked")
    if given in (CATEGORY, TARGET):
        return labels
    if given is not None and given.startswith(DATE):
        texts = _present(column, as_written(frame))
        return _date(column, given.removeprefix(DATE).strip() or date_format(texts) or ISO)
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return labels if given else _date(column, ISO)
    if given == NUMBER:
        return (Number.found(column, as_written(frame), WORDS) or [Number()])[0]
    found = pd.api.types.infer_dtype(column, skipna=True)
    if given == BOOLEAN or found == BOOLEAN:
        return Number(truth=True)
    if pd.api.types.is_numeric_dtype(column.dtype) or found in NUMBERS or found == "timedelta":
        return Number(percent=False, currency="")
    if isinstance(column.dtype, pd.CategoricalDtype):
        return labels
    texts = _present(column, as_written(frame))
    if not len(texts):
        return Dropped(EMPTY)
    if {text.strip().casefold() for text in texts} <= set(FLAGS):
        return Number(truth=True)
    if (as_number := Number.found(column, as_written(frame), WORDS)) is not None:
        return as_number[0]
    format = date_format(texts)
    return labels if format is None else _date(column, format)


def _with_commas(frame: pd.DataFrame, kinds: Mapping[str, Column]) -> dict[str, tuple[Number, np.ndarray]]:
    """Columns whose commas may group thousands or not, read as decimal ones, as they are in another column."""
    unsure = [name for name, kind in kinds.items() if isinstance(kind, Number) and kind.grouped]
    read = {name: Number.found(pd.Series(frame[name]), as_written(frame), WORDS, (",",)) for name in unsure}
    return {name: found for name, found in read.items() if found is not None}


def _date(column: pd.Series, format: str) -> Date:
    return Date((), 0.0, 0.0, 0.0, format=format, zoned=bool(zones(column)[0].any()))


def _present(column: pd.Series, written: bool) -> np.ndarray:
    """The distinct texts of a column that do not stand for a missing value."""
    labels = pd.unique(pd.Series(to_labels(column, written)).dropna())
    return np.array([label for label in labels if not is_missing(label)], dtype=object)


def _learned(
    name: str, kind: Column, values: np.ndarray, given: str | None, y: np.ndarray, told: tuple[str, ...]
) -> Column:
    """A column with what its training rows tell: ``[B]`` values, ``[B, K]`` outcomes of the names ``told``."""
    if isinstance(kind, Number):
        return _learned_number(name, kind, values, given)
    if isinstance(kind, Date):
        if np.isnan(values).all():
            return Dropped(EMPTY)
        found = Date.learn(values, kind.format, kind.zoned)
        return found if found.inputs("") else Dropped(CONSTANT)
    assert isinstance(kind, Levels)
    present = distinct_labels(values[values != GONE])
    levels = (*present, *[GONE][: bool((values == GONE).any())])
    if given == CATEGORY:
        check_count(name, present, "levels", "drop it or group them, or make it target-encoded")
    if given is None:
        known = int((values != GONE).sum())
        if len(levels) < 2:
            return Dropped(CONSTANT if present else EMPTY)
        if len(present) == known or tells_apart(len(present), known):
            distinct = "its text is all distinct" if len(present) == known else "its text is nearly all distinct"
            return Dropped(distinct + _numbers_in(present))
    if given == TARGET or (given is None and len(levels) > FEW):
        return TargetEncoded.learn(values, levels, y, told, kind.values)
    return replace(kind, levels=levels)


def _numbers_in(labels: Sequence[str]) -> str:
    """What would make numbers of text that is all of one form: a number and a unit, or parts that are known.

    Example:
        >>> _numbers_in(["1.5 kg", "2 kg"]), _numbers_in(["12 Main St", "3 High St"])
        ("; leave the unit out of the cells; the column's name can say it", '')
    """
    hows, units = {cure(label) for label in labels}, {label.lstrip("-+0123456789., ") for label in labels}
    how = hows.pop() if len(hows) == 1 else None
    return f"; {how}" if how in (POINT, CURRENCY) or (how == UNIT and len(units) == 1) else ""


def _learned_number(name: str, kind: Number, values: np.ndarray, given: str | None) -> Column:
    gone = np.isnan(values)
    known = values[~gone]
    if not len(known):
        return Dropped(EMPTY)
    low, high, middle = float(known.min()), float(known.max()), float(np.median(known))
    if given == BOOLEAN and not set(known.tolist()) <= {0.0, 1.0}:
        odd = next(value for value in known if value not in (0, 1))
        raise DataError(f"column {name!r} is no boolean: it holds {odd:g}; 0 and 1, or true and false, are")
    if given is None and low == high and not gone.any():
        return Dropped(CONSTANT)
    numbered = len(set(known.tolist())) == len(values) and bool((known == np.round(known)).all())
    if given is None and KEY.fullmatch(name) and numbered:
        return Dropped("it only identifies rows")
    return replace(kind, offset=offset_of(known), low=low, high=high, fill=middle, flag=bool(gone.any()))
