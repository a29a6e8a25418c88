"""What a table's columns mean to a model: kept with the model, so that later tables are read alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spikebayes.errors import StoreError
from spikebayes.prediction.predictive import Task


@dataclass(frozen=True)
class TableSchema:
    """Feature columns, the levels of the categorical ones, the target and its classes.

    Args:
        features: column names, in the order in which the model takes them.
        categories: for each categorical feature, its levels; each level becomes one 0/1 input.
        target: the column to predict.
        task: regression or classification.
        classes: the target's labels in the order of the model's outputs; empty for regression.

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
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> TableSchema:
        """Read what :meth:`to_dict` wrote.

        Raises:
            StoreError: a field is missing, unknown, of the wrong kind, or contradicts another.
        """
        fields = {"features", "categories", "target", "task", "classes"}
        if not isinstance(stored, Mapping) or set(stored) != fields:
            found = sorted(map(str, stored)) if isinstance(stored, Mapping) else type(stored).__name__
            raise StoreError(f"a stored table schema has the fields {sorted(fields)}; got {found}")
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
        return cls(features, levels, target, Task(task), classes)


def _names(value: object, what: str, least: int = 1) -> tuple[str, ...]:
    """``value`` as a tuple of at least ``least`` distinct, non-empty strings."""
    if isinstance(value, list | tuple):
        names = tuple(name for name in value if isinstance(name, str) and name)
        if len(set(names)) == len(value) >= least:
            return names
    raise StoreError(f"{what} of a stored table schema must be {least} or more distinct names; got {value!r}")
