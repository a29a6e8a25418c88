"""A table in parts means to a schema what the whole means, wherever it is cut."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
import torch
from pandas.testing import assert_frame_equal

from spikebayes.data import TableSchema, encode_features, encode_target, infer_schema, read_table, write_table
from spikebayes.data.chunks import read_chunks
from spikebayes.data.delimited import delimited_batches
from spikebayes.data.kinds import Levels, Number
from spikebayes.errors import DataError
from spikebayes.prediction.task import Task

N = 57


def mixed() -> pd.DataFrame:
    """Columns whose parts look like something else than the whole."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=N)
    return pd.DataFrame(
        {
            "float": numbers,
            "whole": range(N),
            "wholes, then not": [str(i) if i < 40 else f"{i}.50" for i in range(N)],
            "leading zeros": [f"{i:02d}" for i in range(N)],
            "flag": ["True", "False"] * (N // 2) + ["True"],
            "flags, then words": ["True"] * 50 + ["perhaps"] * 7,
            "1 and 1.0": ["1"] * 30 + ["1.0"] * 27,
            "words": ["red", "nan", "=a+b", 'say "so"', "two\nlines"] * (N // 5) + ["red"] * (N % 5),
            "y": numbers**2,
        }
    )


LABELS = ["leading zeros", "flags, then words", "1 and 1.0", "words"]


def whole_and_parts(path: Path, schema: TableSchema, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    parts = [torch.cat([encode_features(p, schema), encode_target(p, schema)], 1) for p in read_chunks(path, rows)]
    assert [len(part) for part in parts] == [rows] * (N // rows) + [N % rows] * bool(N % rows)
    table = read_table(path)
    return torch.cat([encode_features(table, schema), encode_target(table, schema)], 1), torch.cat(parts)


@pytest.mark.parametrize("rows", [1, 7, 19, 1000])
@pytest.mark.parametrize("suffix", ["csv", "tsv", "csv.gz", "parquet", "npz", "arrow"])
def test_parts_are_encoded_as_the_whole(tmp_path: Path, suffix: str, rows: int) -> None:
    path = tmp_path / f"t.{suffix}"
    write_table(mixed(), path)
    whole, parts = whole_and_parts(path, infer_schema(read_table(path), "y", LABELS), min(rows, N))
    assert torch.equal(whole, parts)


@pytest.mark.parametrize("block", [2000, 4000])
def test_wherever_a_text_file_is_cut_into_blocks(tmp_path: Path, block: int) -> None:
    path = tmp_path / "t.csv"
    write_table(mixed(), path)
    names, batches = delimited_batches(path, block)
    table = pa.Table.from_batches(batches)
    assert names == list(mixed().columns)
    assert table.column("words").to_pylist()[:5] == ["red", "nan", "'=a+b", 'say "so"', "two\nlines"]
    assert table.num_rows == N


def with_an_index(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_index(pd.Index(frame["float"] * 2, name="double"))


def with_levels(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_index(["whole", "leading zeros"])


def with_counted_rows(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_index(pd.RangeIndex(100, 100 + 3 * N, 3, name="counted"))


def with_plain_rows_from_5(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_index(pd.RangeIndex(5, 5 + N))


def with_categories(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype({"words": "category", "float": "float32"})


def with_other_names(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[["float", "y"]].set_axis([0, 1], axis=1)


def as_written(frame: pd.DataFrame) -> pd.DataFrame:
    frame.attrs = {"as written": True}
    return frame


FORMS = (
    with_an_index,
    with_levels,
    with_counted_rows,
    with_plain_rows_from_5,
    with_categories,
    with_other_names,
    as_written,
)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("suffix", ["parquet", "feather"])
def test_parts_of_a_stored_frame_are_those_of_the_whole(
    tmp_path: Path, suffix: str, form: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    path = tmp_path / f"t.{suffix}"
    if suffix == "parquet":
        form(mixed()).to_parquet(path, row_group_size=11)
    else:
        pyarrow.feather.write_feather(pa.Table.from_pandas(form(mixed())), path, chunksize=11)
    whole, parts = read_table(path), list(read_chunks(path, 9))
    for part in parts:
        assert part.attrs.pop("first row", 0) == sum(map(len, parts[: [p is part for p in parts].index(True)]))
        assert part.attrs == whole.attrs
    assert_frame_equal(pd.concat(parts, ignore_index=True), whole.reset_index(drop=True), check_categorical=False)


def test_missing_values_in_some_parts(tmp_path: Path) -> None:
    """Whole numbers with gaps are floats as a whole, and whole numbers where a part has none."""
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": [1, 2, 3, None], "b": [1, 2, 3, 4]}), path)
    schema = infer_schema(read_table(path), "b", ["a"])
    first, second = read_chunks(path, 2)
    assert encode_features(first, schema).tolist() == [[1, 0, 0, 0], [0, 1, 0, 0]]
    assert encode_features(second, schema).tolist() == [[0, 0, 1, 0], [0, 0, 0, 1]]
    refuses = TableSchema({"a": Number()}, {"b": Number()}, Task.REGRESSION)
    with pytest.raises(DataError, match=r"'a' \(1 NaN\), first in row 4; fill"):
        encode_features(second, refuses)


def refused(path: Path, rows: int = 5) -> str:
    """What reading in parts says, which is what reading the whole says."""
    with pytest.raises(DataError) as whole:
        read_table(path)
    with pytest.raises(DataError) as parts:
        list(read_chunks(path, rows))
    assert str(parts.value) == str(whole.value)
    return str(parts.value)


LINES = "a,b\n" + "1,2\n" * 20
CASES: dict[str, tuple[str, bytes, str]] = {
    "no file": ("x/none.csv", b"", "there is no such file"),
    "torn arrow": ("t.arrow", b"ARROW1 and no more", "cannot read"),
    "no format": ("t.xls", b"", "expected a file named"),
    "empty": ("t.csv", b"", "the file is empty"),
    "no rows": ("t.csv", b"a,b\n", "2 columns and no rows"),
    "no names": ("t.csv", b"1,2\n3,4\n", "must name the columns"),
    "one name twice": ("t.csv", b"a,a\n3,4\n", "must differ"),
    "more fields": ("t.csv", (LINES + "1,2,3\n").encode(), "line 22, not counting blank ones, has more fields"),
    "fewer fields": ("t.csv", (LINES + "\n1\n").encode(), "line 22, not counting blank ones, has fewer fields"),
    "no text": ("t.csv", LINES.encode() + b"\xff,1\n", "line 22 holds the byte 0xff"),
    "open quote": ("t.csv", (LINES + '"1,2\n').encode(), "close its quotes"),
    "torn gzip": ("t.csv.gz", gzip.compress(LINES.encode())[:-9], "cannot read"),
    "torn parquet": ("t.parquet", b"PAR1 and no more", "cannot read"),
    "torn npz": ("t.npz", b"PK", "not an NPZ archive"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_read_is_refused_alike(tmp_path: Path, case: str) -> None:
    name, data, says = CASES[case]
    path = tmp_path / name
    if data or "/" not in name:
        path.write_bytes(data)
    assert says in refused(path)


def test_rows_are_numbered_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    write_table(pd.DataFrame({"a": ["u"] * 29 + ["w"], "b": range(30)}), path)
    schema = TableSchema({"b": Number()}, {"a": Levels(("u", "v"))}, Task.CLASSIFICATION)
    *fine, last = read_chunks(path, 8)
    assert [len(encode_target(part, schema)) for part in fine] == [8, 8, 8]
    with pytest.raises(DataError, match=r"'w' \(row 30\), which training never met"):
        encode_target(last, schema)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    """What Arrow holds at the most, of a file of 60 MB; pandas holds a part."""
    for suffix in ("csv", "parquet"):
        path = tmp_path / f"t.{suffix}"
        rng = np.random.default_rng(0)
        frame = pd.DataFrame(rng.normal(size=(400_000, 8)), columns=list("abcdefgh"))
        frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path, row_group_size=10_000)
        most, before = 0, pa.total_allocated_bytes()
        for part in read_chunks(path, 4096):
            assert len(part) <= 4096
            most = max(most, pa.total_allocated_bytes() - before)
        assert most < 128 << 20
        assert path.stat().st_size > 25 << 20
