"""Tables: written and read back, read against Python's own csv, cut into rows, and damaged."""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import torch

from fuzz.damage import spoilt
from fuzz.trial import Trial, Wrong
from spikebayes import SpikebayesError, Task
from spikebayes.data import (
    TableSchema,
    encode_features,
    encode_target,
    infer_schema,
    outside_training,
    read_table,
    write_table,
)

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".parquet", ".npz", ".arrow")
CHECKED = (".csv.gz", ".npz")  # formats whose bytes carry a checksum
WORDS = (
    "01", "1", "1.0", "1.50", "TRUE", "True", "false", "NA", "nan", "NaN", "", " ", " a", "a ", "null", "None", "?",
    "-",
    "1e5", "1E5", "+1", "-0", "0", "-0.0", "1_000", "1,5", "1.234,5", "1 000", "50%", "2020-01-02", "12:30", "=1+1",
    "'=1",
    "'", "''a", "@x", "-x", "+y", '"', 'a"b', "a,b", "a;b", "a\tb", "a\nb", "a\r\nb", "ä", "日本",
    "e\u0301", "\u00e9", "\u200b",
    "\ufeff", "\u2028", "inf", "-inf", "Infinity", "1e999", "9007199254740993", "18446744073709551616", "0x1F",
    "1j", "[/b]",
    "\u0661", "１", "x" * 300, "\x1c", "\x85", "\xa0", "#", "\\", "\\n", "1.", ".5", "5e-324", "1d", "İ",
)  # fmt: skip
CLEAN = 9  # makers of columns that any task takes
NAMES = ("a", "b", "y", "x0", "x 1", "size, m", 'q"', "=f", "naïve", "file", "1", "[/b]", " c", "A", "'", "l\nm")


def prepare() -> None:
    """Nothing."""


def run(trial: Trial) -> None:
    trial.one((_round_trip, _as_csv_reads, _row_by_row, _damaged, _schemas))(trial)


# -- what is drawn -------------------------------------------------------------------------------------------


def _column(trial: Trial, rows: int) -> pd.Series:
    rng = trial.rng
    makers: tuple[Callable[[], Any], ...] = (
        lambda: rng.normal(size=rows),
        lambda: rng.normal(size=rows).astype(np.float32),
        lambda: rng.integers(-3, 4, rows),
        lambda: rng.integers(0, 200, rows).astype(trial.one((np.uint8, np.int16, np.uint64))),
        lambda: 1.7e9 + rng.normal(size=rows),
        lambda: rng.random(rows) < 0.5,
        lambda: [trial.one(WORDS[:9]) for _ in range(rows)],
        lambda: pd.Categorical([trial.one(("red", "blue", "01", "1")) for _ in range(rows)]),
        lambda: [trial.one(("1", "2", "3.5", "-4e3")) for _ in range(rows)],
        # and what is seldom met, or refused
        lambda: rng.integers(-(2**63), 2**63 - 1, rows),
        lambda: rng.normal(size=rows) * 10.0 ** rng.integers(-300, 300, rows),
        lambda: pd.array([trial.one([1, 2, 2**60, None]) for _ in range(rows)], "Int64"),
        lambda: pd.array([trial.one([True, False, None]) for _ in range(rows)], "boolean"),
        lambda: [trial.one([1.5, math.nan, 2.0, -0.0]) for _ in range(rows)],
        lambda: [trial.one(WORDS) for _ in range(rows)],
        lambda: pd.array([trial.one((*WORDS[:9], None)) for _ in range(rows)], "string"),
        lambda: [trial.one((1, "1", 2.5, None, "x", True)) for _ in range(rows)],
        lambda: [trial.one((1, 2.5, b"x", (1,), 1j, object)) for _ in range(rows)],
        lambda: pd.date_range("2020-01-01", periods=rows, freq="h"),
        lambda: pd.Categorical([trial.one((1.0, 2.5, 10.0)) for _ in range(rows)]),
        lambda: [trial.one((math.inf, 1.0, 2.0)) for _ in range(rows)],
    )
    return pd.Series(trial.one(makers if trial.chance(0.3) else makers[:CLEAN])())


def _frame(trial: Trial, least: int = 1) -> pd.DataFrame:
    rows = trial.whole(least, 12)
    names = list(trial.rng.permutation(NAMES)[: trial.whole(1, 5)])
    frame = pd.DataFrame({name: _column(trial, rows) for name in names})
    trial.say(f"a table of {rows} rows: {frame.to_dict('list')} with {dict(frame.dtypes)}"[:3000])
    return frame


def _text(trial: Trial, rows: int, columns: int) -> list[list[str]]:
    """Rows of cells, by columns that hold one kind of cell, as tables do, or any."""
    kinds = [trial.one(("words", "few", "few", "ints", "floats", "flags", "labels")) for _ in range(columns)]
    few = [trial.one([word for word in WORDS if word.strip()]) for _ in range(3)]
    draw: dict[str, Callable[[], str]] = {
        "words": lambda: trial.one(WORDS),
        "few": lambda: trial.one(few),
        "ints": lambda: str(trial.whole(-3, 12)),
        "floats": lambda: repr(float(np.round(trial.rng.normal(), 2))),
        "flags": lambda: trial.one(("True", "False", "TRUE")),
        "labels": lambda: trial.one(("01", "1", "1.0", "NA", "x")),
    }
    return [[draw[kind]() for kind in kinds] for _ in range(rows)]


def _as_text(trial: Trial, names: list[str], cells: list[list[str]], delimiter: str) -> str:
    out = io.StringIO()
    quoting = trial.one((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    end = trial.one(("\n", "\r\n"))
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writerow(names)
    writer.writerows(cells)
    return out.getvalue()


def _schema(trial: Trial, frame: pd.DataFrame) -> TableSchema:
    names = list(frame.columns)
    target = trial.one(names)
    plain = {name for name in names if pd.api.types.is_numeric_dtype(frame[name].dtype)}
    labels = [n for n in names if n != target and trial.chance(0.2 if n in plain else 0.95)]
    fitting = Task.REGRESSION if target in plain else Task.CLASSIFICATION
    task = trial.one((None, fitting, fitting, *Task))
    trial.say(f"infer_schema target={target!r} categorical={labels} task={task}")
    return infer_schema(frame, target, labels, task)


# -- what must hold ------------------------------------------------------------------------------------------


def _round_trip(trial: Trial) -> None:
    """A table is read as it was written, in any format, and means the same to a model."""
    frame = _frame(trial, least=2)
    path = trial.folder / f"t{trial.one(SUFFIXES)}"
    trial.say(f"write_table, read_table {path.name}")
    write_table(frame, path)
    back = read_table(path)
    if list(back.columns) != list(frame.columns) or len(back) != len(frame):
        raise Wrong(f"another shape: {list(back.columns)} {len(back)} of {list(frame.columns)} {len(frame)}")
    for name in frame.columns:
        for row, (given, read) in enumerate(zip(frame[name], back[name], strict=True)):
            if not _same(frame[name].dtype.type(given) if frame[name].dtype == np.float32 else given, read):
                raise Wrong(f"a cell is read as another: {name!r} {row}: {given!r} became {read!r} in {path.name}")
    again = trial.folder / f"u{path.name[1:]}"
    write_table(frame, again)
    if again.read_bytes() != path.read_bytes():
        raise Wrong("the same table gives other bytes")
    schema = _schema(trial, frame)
    x = encode_features(frame, schema)
    stored = TableSchema.from_dict(schema.to_dict())
    if stored != schema or not torch.equal(x, encode_features(frame, stored)):
        raise Wrong("a schema that was stored encodes otherwise")
    try:
        x_back, outside = encode_features(back, schema), outside_training(back, schema)
    except SpikebayesError as error:
        trial.say(f"refused once it was read back: {error}")
        return  # text of numbers and dates of a kind that was seen in none of its cells
    strange = [row for row, names in enumerate(outside) if names and not outside_training(frame, schema)[row]]
    if strange:
        trial.say(f"outside once it was read back: {outside}")
        return  # text of numbers, 1 and 1.0, True and 1: labels of a file are text
    if not torch.allclose(x, x_back, rtol=1e-6, atol=1e-30):
        raise Wrong(f"a table that is read back encodes otherwise: {path.suffix}")


def _same(given: Any, read: Any) -> bool:
    gone = [value is None or value is pd.NA or value is pd.NaT or value != value for value in (given, read)]
    blank = [missing or (isinstance(v, str) and not v) for missing, v in zip(gone, (given, read), strict=True)]
    if any(blank):
        return all(blank)
    if isinstance(given, pd.Timestamp):
        return pd.Timestamp(read) == given
    if isinstance(given, str) or isinstance(read, str):
        return str(given) == str(read) or (not isinstance(given, str) and float(given) == float(read))
    read = type(given)(read) if isinstance(given, np.floating) else read  # float32 has a shorter text
    return bool(given == read) and math.copysign(1, given) == math.copysign(1, read)


def _as_csv_reads(trial: Trial) -> None:
    """Text is what Python's csv module reads, whatever surrounds it; other encodings and separators are refused."""
    names = list(trial.rng.permutation(NAMES)[: trial.whole(1, 4)])
    cells = _text(trial, trial.whole(1, 8), len(names))
    delimiter = trial.one((",", ",", ",", "\t", ";", "|"))
    text = _as_text(trial, names, cells, delimiter)
    encoding = trial.one(("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1"))
    data = text.encode(encoding, errors="replace")
    if trial.chance(0.3):
        data = spoilt(data, trial)
    path = trial.folder / f"t{trial.one(('.csv', '.tsv', '.csv.gz'))}"
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    trial.say(f"read_table {path.name} {encoding} {data[:2000]!r}")
    frame = read_table(path)
    expected = _by_csv(data, "\t" if path.suffix == ".tsv" else ",")
    names, *rows = expected
    if [_plain(n) for n in names] != list(frame.columns):
        raise Wrong(f"other names than csv reads: {list(frame.columns)} for {names}")
    if len(rows) != len(frame):
        raise Wrong(f"other rows than csv reads: {len(frame)} for {len(rows)}")
    for row, line in enumerate(rows):
        for name, cell in zip(frame.columns, line, strict=True):
            read = frame[name].iloc[row]
            text = "" if read is None or read != read else str(read)
            if text != _plain(cell) and not (cell == "nan" and text == ""):
                raise Wrong(f"another cell than csv reads: {read!r} for {cell!r}, column {name!r}, row {row}")
    if len(rows) > 1:
        schema = _schema(trial, frame)
        encode_features(frame, schema)
        encode_target(frame, schema)


def _by_csv(data: bytes, delimiter: str) -> list[list[str]]:
    text = io.StringIO(data.decode("utf-8-sig"), newline="")
    return [row for row in csv.reader(text, delimiter=delimiter) if row]


def _plain(cell: str) -> str:
    """Without the apostrophe that keeps a formula text."""
    bare = cell.lstrip("'")
    if bare == cell or not bare.startswith(tuple("=+-@\t\r\n＝＋－＠")):
        return cell
    with suppress(ValueError):
        if "_" not in bare:
            float(bare)
            return cell
    return cell[1:]


def _row_by_row(trial: Trial) -> None:
    """A row means the same alone as among others."""
    names = list(trial.rng.permutation(NAMES)[: trial.whole(2, 4)])
    cells = _text(trial, trial.whole(2, 8), len(names))
    suffix = trial.one((".csv", ".tsv"))
    delimiter = "," if suffix == ".csv" else "\t"
    whole = trial.folder / f"t{suffix}"
    whole.write_text(_as_text(trial, names, cells, delimiter), encoding="utf-8", newline="")
    trial.say(f"read_table {whole.read_bytes()!r}")
    frame = read_table(whole)
    schema = _schema(trial, frame)
    x, y = encode_features(frame, schema), encode_target(frame, schema)
    for row, line in enumerate(cells):
        single = trial.folder / f"r{suffix}"
        single.write_text(_as_text(trial, names, [line], delimiter), encoding="utf-8", newline="")
        alone = read_table(single)
        try:
            same = torch.equal(encode_features(alone, schema)[0], x[row]) and bool(
                encode_target(alone, schema)[0] == y[row]
            )
        except SpikebayesError as error:
            raise Wrong(f"a row is refused alone: {error}") from error
        if not same:
            raise Wrong(f"a row means something else alone: row {row}, {line}")


def _damaged(trial: Trial) -> None:
    """Damaged files are refused, or read as something; as what they were, where they carry a checksum."""
    frame = _frame(trial, least=2)
    suffix = trial.one(SUFFIXES)
    path = trial.folder / f"t{suffix}"
    write_table(frame, path)
    before = read_table(path)
    path.write_bytes(spoilt(path.read_bytes(), trial))
    read_as = path
    if trial.chance(0.1):
        read_as = path.rename(path.with_name(f"t{trial.one(SUFFIXES)}"))
    trial.say(f"read_table {read_as.name}, damaged")
    after = read_table(read_as)
    if suffix in CHECKED and read_as == path and suffix == ".csv.gz" and not after.equals(before):
        raise Wrong("a damaged file is read as another table: csv.gz")
    schema = _schema(trial, after)
    encode_features(after, schema)
    encode_target(after, schema)


def _schemas(trial: Trial) -> None:
    """A table by the schema of another, and schemas that were edited."""
    frame, other = _frame(trial, least=2), _frame(trial)
    schema = _schema(trial, frame)
    if trial.chance(0.5):
        stored = schema.to_dict()
        field = trial.one(sorted(stored))
        odd = (None, [], {}, "", "a", 0, 1.5, True, ["a", "a"], [1], {"a": []}, {"a": 1}, math.nan, {"y": math.inf})
        stored[field] = trial.one(odd)
        trial.say(f"from_dict {stored}")
        schema = TableSchema.from_dict(stored)
    encode_features(other, schema)
    encode_target(other, schema)
