"""The table that a run was trained on, known again by its content: which rows were held out, which were not."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pandas.util import hash_pandas_object

from spikebayes.app.table_run import TableRun
from spikebayes.app.table_task import learnable
from spikebayes.data.encoding import encode_features, encode_target
from spikebayes.data.row_numbers import taken
from spikebayes.data.tables import read_table, split_rows
from spikebayes.data.targets import rows_with_target
from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.files import is_same

TABLE = "table_sha256"  # what a run's config calls the table's digest
FOLDER = "working_folder"  # and where fit was typed: from there a relative path leads to the table


def table_digest(table: pd.DataFrame) -> str:
    """SHA-256 of a table's content, in hexadecimal: its columns in their order, and every value as it was read."""
    found = hashlib.sha256()
    for name in table.columns:
        column = table[name]
        kind = pd.api.types.infer_dtype(column)  # of the values: pandas' versions store text in different ways
        found.update(repr((name, kind, len(column))).encode())
        try:
            hashes = hash_pandas_object(column, index=False)  # pyright: ignore[reportCallIssue]
        except TypeError:  # of values that hold others, as lists do
            texts = pd.Series([_canonical(value) for value in column], dtype=object)
            hashes = hash_pandas_object(texts, index=False)  # pyright: ignore[reportCallIssue]
        found.update(hashes.to_numpy("<u8").tobytes())
    return found.hexdigest()


def _canonical(value: Any) -> str:
    """The whole of a value as text, whatever holds its parts: arrays and lists of the same parts have the same.

    Example:
        >>> _canonical({"b": np.array([1.5, 2.0]), "a": None})
        "{'a': None, 'b': [1.5, 2.0]}"
    """
    if isinstance(value, Mapping):
        parts = sorted((_canonical(name), _canonical(part)) for name, part in value.items())
        return f"{{{', '.join(f'{name}: {part}' for name, part in parts)}}}"
    if isinstance(value, Set):
        return f"{{{', '.join(sorted(map(_canonical, value)))}}}"
    if isinstance(value, np.ndarray | list | tuple):
        parts = value.tolist() if isinstance(value, np.ndarray) and value.dtype != object else value
        return f"[{', '.join(map(_canonical, parts))}]"
    return repr(value.item() if isinstance(value, np.generic) else value)


def places_of_table(config: Mapping[str, Any]) -> list[Path]:
    """Where a run's training table may be: where it was, or from here as it was named, if it moved with the run.

    Example:
        >>> [path.as_posix() for path in places_of_table({"data": "t.csv", FOLDER: "/tables"})]
        ['/tables/t.csv', 't.csv']
    """
    name, folder = config.get("data"), config.get(FOLDER)
    if not isinstance(name, str):
        return []
    there, here = Path(folder if isinstance(folder, str) else "", name), Path(name)
    return [there] if there == here or is_same(there, here) else [there, here]


def rows_to_judge(run: TableRun, data: Path | None) -> tuple[pd.DataFrame, str]:
    """The rows of a table, and what to call them; without one those rows of the training table that were held out.

    Raises:
        ConfigError: the run does not name its table, or that is not there any more as it was.
        DataError: a table that cannot be read.
    """
    known = run.config.get(TABLE)
    if data is not None:
        table = read_table(data)
        if table_digest(table) == known:
            return table, f"{data}, the table that the run was trained on"
        there = set(run.schema.targets) <= set(table.columns)
        seen = rows_trained_on(run, table) if there else None
        return table, f"{data}, of which {seen} rows, or rows equal to them, were trained on" if seen else str(data)
    table, path = _learnable(run, _training_table(run, "give --data")), run.config["data"]
    held = split_rows(len(table), run.config["validation"], run.config["seed"])[1]
    return taken(table, held.numpy()), f"{path} that were held out of the training"


def rows_to_calibrate(run: TableRun) -> pd.DataFrame:
    """Rows of the training table that the network was trained on, as a code needs them.

    Raises:
        ConfigError: the run does not name its table, or that is not there any more as it was.
    """
    return _learned(
        run, _training_table(run, "a code needs its rows, to see how large activations become: put it back")
    )


def rows_trained_on(run: TableRun, table: pd.DataFrame) -> int | None:
    """How many rows of a table, targets included, equal one that the run was trained on.

    None if that is not known: the training table is not there any more as it was.
    """
    if table_digest(table) == run.config.get(TABLE):
        whole = table
    else:
        try:
            whole = _training_table(run, "")
        except (ConfigError, DataError):
            return None
    known = set(_as_bytes(run, _learned(run, whole)))
    there = taken(table, rows_with_target(table, [*run.schema.targets], run.schema.targets))
    if not len(there):
        return 0
    return sum(row in known for row in _as_bytes(run, there))


def _learned(run: TableRun, whole: pd.DataFrame) -> pd.DataFrame:
    """The rows of the training table that the network was trained on."""
    table = _learnable(run, whole)
    return table.iloc[split_rows(len(table), run.config["validation"], run.config["seed"])[0].numpy()]


def _learnable(run: TableRun, whole: pd.DataFrame) -> pd.DataFrame:
    """The rows of the training table that were trained on or held out."""
    targets = run.schema.targets
    return learnable(whole, [*targets], weights=run.config.get("weights"), kinds=targets)


def _as_bytes(run: TableRun, table: pd.DataFrame) -> list[bytes]:
    """Each row as the network sees it, and its targets: however the file wrote them."""
    y = encode_target(table, run.schema).double()
    rows = torch.cat([encode_features(table, run.schema).double(), y.reshape(len(table), -1)], 1)
    return [row.tobytes() for row in rows.numpy()]


def _training_table(run: TableRun, cure: str) -> pd.DataFrame:
    known, places = run.config.get(TABLE), places_of_table(run.config)
    if not places:
        raise ConfigError(f"the run does not record which table it was trained on; {cure}")
    there = [path for path in places if path.is_file()]
    if not there:
        raise ConfigError(f"the table that the run was trained on, {places[0]}, is missing; {cure}")
    for path in there:
        if table_digest(table := read_table(path)) == known:
            return table
    cause = "is no longer" if known else "may no longer be"
    raise ConfigError(f"{there[0]} {cause} the table that the run was trained on; {cure}")
