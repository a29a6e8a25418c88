"""What a table's columns mean to a model: kept with the model, so that later tables are read alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spikebayes.errors import StoreError
from spikebayes.machine.arguments import checked
from spikebayes.prediction.predictive import Task

FIRST = {"features", "categories", "target", "task", "classes"}  # the fields of the first runs
FIELDS = FIRST | {"offsets", "values"}


@checked
@dataclass(frozen=True)
class TableSchema:
    """Feature columns, the levels of the categorical ones, the target and its classes.

    Args:
        features: column names, in the order in which the model takes them.
        categories: for each categorical feature, its levels; each level becomes one 0/1 input.
        target: the column to predict.
        task: regression or classification.
        classes: the target's labels in the order of the model's outputs; empty for regression.
        offsets: what is taken from a numeric column, or from a target of numbers, before it becomes float32, which
            could not tell its values apart; columns that are not named have none.
        values: the columns of labels that stand for numbers or truth values, so that 1 and 1.0 are one label.

    Example:
        >>> schema = TableSchema(("area", "color"), {"color": ("blue", "red")}, "price", Task.REGRESSION, ())
        >>> schema.input_names
        ('area', 'color=blue', 'color=red')
        >>> TableSchema.from_dict(schema.to_dict()) == schema
        True
    """

    features: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]
    target: str
    task: Task
    classes: tuple[str, ...]
    offsets: dict[str, float] = field(default_factory=dict)
    values: tuple[str, ...] = ()

    @property
    def input_names(self) -> tuple[str, ...]:
        """One name per encoded input, F of them: ``area``, and ``color=red`` for a level."""
        names: list[str] = []
        for feature in self.features:
            levels = self.categories.get(feature)
            names += [feature] if levels is None else [f"{feature}={level}" for level in levels]
        return tuple(names)

    @property
    def output_names(self) -> tuple[str, ...]:
        """One name per output of the network, C of them: the classes, or the target."""
        return self.classes or (self.target,)

    def to_dict(self) -> dict[str, Any]:
        """The schema in JSON values."""
        return {
            "features": list(self.features),
            "categories": {name: list(levels) for name, levels in self.categories.items()},
            "target": self.target,
            "task": self.task.value,
            "classes": list(self.classes),
            "offsets": dict(self.offsets),
            "values": list(self.values),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> TableSchema:
        """Read what :meth:`to_dict` wrote.

        Raises:
            StoreError: a field is missing, unknown, of the wrong kind, or contradicts another.
        """
        if not isinstance(stored, Mapping) or set(stored) not in (FIRST, FIELDS):
            found = sorted(map(str, stored)) if isinstance(stored, Mapping) else type(stored).__name__
            raise StoreError(f"a stored table schema has the fields {sorted(FIELDS)}; got {found}")
        features = _names(stored["features"], "features")
        categories = stored["categories"]
        if not isinstance(categories, Mapping) or not set(categories) <= set(features):
            raise StoreError(f"categories of a stored table schema must be among its features; got {categories!r}")
        target, task = stored["target"], stored["task"]
        if not isinstance(target, str) or not target or target in features:
            raise StoreError(
                f"the target of a stored table schema must be a column beside its features; got {target!r}"
            )
        if task not in list(Task):
            raise StoreError(f"the task of a stored table schema is one of {[t.value for t in Task]}; got {task!r}")
        least = 2 if task == Task.CLASSIFICATION else 0
        classes = _names(stored["classes"], "classes", least)
        if task == Task.REGRESSION and classes:
            raise StoreError(f"a stored table schema for regression has no classes; got {list(classes)}")
        levels = {name: _names(value, f"categories of {name!r}") for name, value in categories.items()}
        labelled = [*levels, *([target] if classes else [])]
        numeric = {*features, target}.difference(labelled)
        offsets = stored.get("offsets", {})
        if not isinstance(offsets, Mapping) or not set(offsets) <= numeric or not all(map(_finite, offsets.values())):
            raise StoreError(f"offsets of a stored table schema are numbers by numeric column; got {offsets!r}")
        values = _names(stored.get("values", labelled), "values", 0)  # the first runs read all labels so
        if not set(values) <= set(labelled):
            raise StoreError(f"values of a stored table schema must be among its columns of labels; got {values!r}")
        return cls(features, levels, target, Task(task), classes, dict(offsets), values)


def _names(value: object, what: str, least: int = 1) -> tuple[str, ...]:
    """``value`` as a tuple of at least ``least`` distinct, non-empty strings."""
    if isinstance(value, list | tuple):
        names = tuple(name for name in value if isinstance(name, str) and name)
        if len(set(names)) == len(value) >= least:
            return names
    raise StoreError(f"{what} of a stored table schema must be {least} or more distinct names; got {value!r}")


def _finite(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value)
