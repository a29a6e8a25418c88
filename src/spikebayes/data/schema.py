"""What a table's columns mean to a model: kept with the model, so that later tables are read in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spikebayes.data.cells import whole
from spikebayes.data.columns import listed, one_line
from spikebayes.data.dates import Date
from spikebayes.data.kinds import Column, Dropped, Levels, Number, TargetEncoded
from spikebayes.errors import StoreError
from spikebayes.machine.arguments import checked
from spikebayes.machine.fields import check_fields
from spikebayes.prediction.task import Task

KINDS = {kind.kind: kind for kind in (Number, Levels, TargetEncoded, Date, Dropped)}
FIELDS = {"columns", "targets", "task"}
FIRST = {"features", "categories", "target", "task", "classes"}  # the fields of the first runs
SECOND = FIRST | {"offsets", "values"}


@checked
@dataclass(frozen=True)
class TableSchema:
    """What each column of a table becomes, and what is predicted.

    Args:
        columns: by name, in the order in which the model takes them; see :mod:`spikebayes.data.kinds`.
        targets: the columns to predict: numbers, or one column of labels, whose levels are the classes.
        task: regression or classification.

    Example:
        >>> columns = {"area": Number(), "color": Levels(("blue", "red")), "id": Dropped("all distinct")}
        >>> schema = TableSchema(columns, {"price": Number()}, Task.REGRESSION)
        >>> schema.input_names
        ('area', 'color=blue', 'color=red')
        >>> print(schema)
        area: number; color: 2 levels; id: dropped, all distinct; to predict: price (number)
        >>> TableSchema.from_dict(schema.to_dict()) == schema
        True
    """

    columns: dict[str, Column]
    targets: dict[str, Number | Levels]
    task: Task

    @property
    def features(self) -> tuple[str, ...]:
        """The columns that a table must have: those that become inputs."""
        return tuple(name for name, column in self.columns.items() if not isinstance(column, Dropped))

    @property
    def input_names(self) -> tuple[str, ...]:
        """One name per encoded input, F of them and no two alike: ``area``, and ``color=red`` for a level."""
        names = [each for name, column in self.columns.items() for each in column.inputs(name)]
        return _told_apart(names)

    @property
    def classes(self) -> tuple[str, ...]:
        """The target's labels in the order of the model's outputs; empty for regression."""
        return next((found.levels for found in self.targets.values() if isinstance(found, Levels)), ())

    @property
    def output_names(self) -> tuple[str, ...]:
        """One name per output of the network, C of them: the classes, or the targets."""
        return self.classes or tuple(self.targets)

    @property
    def target(self) -> str:
        """What is predicted, as one says it."""
        return ", ".join(self.targets)

    def __str__(self) -> str:
        alike: dict[str, list[str]] = {}
        for name, column in self.columns.items():
            alike.setdefault(str(column), []).append(one_line(name))
        told = "; ".join(f"{listed(names)}: {column}" for column, names in alike.items())
        if not self.classes:
            return f"{told}; to predict: {', '.join(f'{name} ({column})' for name, column in self.targets.items())}"
        how = ", whole numbers of few values; for a number, --task regression" * all(map(whole, self.classes))
        return f"{told}; to predict: {self.target} ({len(self.classes)} classes{how})"

    def to_dict(self) -> dict[str, Any]:
        """The schema in JSON values."""
        return {
            "columns": {name: column.to_dict() for name, column in self.columns.items()},
            "targets": {name: column.to_dict() for name, column in self.targets.items()},
            "task": self.task.value,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> TableSchema:
        """Read what :meth:`to_dict` wrote, or wrote before.

        Raises:
            StoreError: a field is missing, unknown, of the wrong kind, or contradicts another.
        """
        if isinstance(stored, Mapping) and set(stored) in (FIRST, SECOND):
            stored = _of_before(stored)
        if not isinstance(stored, Mapping) or set(stored) != FIELDS:
            found = sorted(map(str, stored)) if isinstance(stored, Mapping) else type(stored).__name__
            raise StoreError(f"a stored table schema has the fields {sorted(FIELDS)}; got {found}")
        columns, targets = _columns(stored["columns"], "columns"), _columns(stored["targets"], "targets")
        task = stored["task"]
        if task not in list(Task):
            raise StoreError(f"the task of a stored table schema is one of {[t.value for t in Task]}; got {task!r}")
        schema = cls(columns, targets, Task(task))  # pyright: ignore[reportArgumentType]
        if not schema.features or set(columns) & set(targets):
            raise StoreError("a stored table schema needs features, and none of them among its targets")
        labels = [name for name, column in targets.items() if isinstance(column, Levels) and len(column.levels) > 1]
        as_numbers = [name for name, column in targets.items() if isinstance(column, Number)]
        if [*targets] != (as_numbers if task == Task.REGRESSION else labels[:1]):
            raise StoreError(f"the targets of a stored table schema for {task} are others; got {stored['targets']!r}")
        return schema


def _columns(stored: Any, what: str) -> dict[str, Column]:
    """Columns from JSON, each of a known kind and whole."""
    if not isinstance(stored, Mapping) or not stored or not all(isinstance(n, str) and n.strip() for n in stored):
        raise StoreError(f"{what} of a stored table schema are one or more, by name; got {stored!r}")
    found: dict[str, Column] = {}
    for name, given in stored.items():
        kind = KINDS.get(str(given.get("kind"))) if isinstance(given, Mapping) else None
        if kind is None:
            raise StoreError(
                f"column {name!r} of a stored table schema is of one of the kinds {list(KINDS)}; got {given!r}"
            )
        fields = {key: value for key, value in given.items() if key != "kind"}
        check_fields(kind, fields)
        try:
            found[name] = kind(**{key: _tuples(value) for key, value in fields.items()})
        except TypeError as error:
            raise StoreError(f"column {name!r} of a stored table schema: {error}") from error
        if (fault := found[name].fault()) is not None:
            raise StoreError(f"column {name!r} of a stored table schema has {fault}; got {given!r}")
    return found


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def _of_before(stored: Mapping[str, Any]) -> dict[str, Any]:
    """What earlier runs stored, in the form of now: they refused missing values, and knew no spans."""
    try:
        levels, target = dict(stored["categories"]), stored["target"]
        offsets = dict(stored.get("offsets", {}))
        labels = levels | ({target: stored["classes"]} if stored["classes"] else {})
        values = list(stored.get("values", labels))  # the first runs read all labels so
        names = [*stored["features"], target]
        named = {*levels, *offsets, *values} <= set(names) and len(set(names)) == len(names)
        if (
            not named
            or set(values) - set(labels)
            or set(offsets) & set(labels)
            or isinstance(stored["features"], str)
        ):
            raise StoreError("a stored table schema of an earlier version names columns that are not among its own")
    except (TypeError, ValueError) as error:
        raise StoreError(f"a stored table schema of an earlier version is damaged: {error}") from error
    found = {
        name: {"kind": "levels", "levels": labels[name], "values": name in values}
        if name in labels
        else {"kind": "number", "offset": offsets.get(name, 0.0)}
        for name in names
    }
    return {"columns": found, "targets": {target: found.pop(target)}, "task": stored["task"]}


def _told_apart(names: list[str]) -> tuple[str, ...]:
    """Names, no two alike: those that repeat are numbered.

    Example:
        >>> _told_apart(["a=b", "c", "a=b"])
        ('a=b', 'c', 'a=b (2)')
    """
    taken, met = set(names), dict[str, None]()
    for name in names:
        told, number = name, 2
        while told in met or (told != name and told in taken):
            told, number = f"{name} ({number})", number + 1
        met[told] = None
    return tuple(met)
