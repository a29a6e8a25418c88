"""Table files: what is written is read back, and what is no table is refused in one line."""

from __future__ import annotations

import gzip
import os
import sys
import tempfile
import zipfile
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from pyarrow import feather

from spikebayes.data import columns, encode_features, encode_target, infer_schema
from spikebayes.data.chunks import read_chunks
from spikebayes.data.columns import checked_labels
from spikebayes.data.tables import check_table_path, read_table, write_table
from spikebayes.data.targets import rows_with_target
from spikebayes.errors import ConfigError, DataError
from spikebayes.prediction.task import Task

SUFFIXES = [".csv", ".csv.gz", ".tsv", ".parquet", ".pq", ".npz", ".arrow", ".feather"]
SMALL = pd.DataFrame({"area": [50.0, 80.0], "color": ["red", "blue"], "sold": [True, False]})


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    rows = draw(st.integers(1, 6))
    kinds = {
        "number": st.floats(allow_nan=True, allow_infinity=True, width=64),
        "count": st.integers(-(2**63), 2**63 - 1),
        "flag": st.booleans(),
        # a letter first: a CSV cannot tell the text "1" from the number
        "text": st.text(st.characters(categories=["L", "N", "Zs", "Po"]), max_size=5).map(lambda tail: f"t{tail}"),
    }
    picked = draw(st.lists(st.sampled_from(sorted(kinds)), min_size=1, max_size=4))
    columns = {
        f"{kind} {index}": draw(st.lists(kinds[kind], min_size=rows, max_size=rows))
        for index, kind in enumerate(picked)
    }
    frame = pd.DataFrame(columns)
    floats = [name for name in frame if str(name).startswith("number")]
    return frame.astype(dict.fromkeys(floats, np.float64))


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def written(folder: Path, content: str | bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=25, deadline=None)
@given(frame=frames())
def test_what_is_written_is_read_back(suffix: str, frame: pd.DataFrame) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"table{suffix}"
        write_table(frame, path)
        pd.testing.assert_frame_equal(read_table(path), frame, check_exact=True)
        again = Path(folder) / f"again{suffix}"
        write_table(frame, again)
        assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_named_index_becomes_a_column(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame({"mean": [0.5, 0.25]}, index=pd.Index([7, 3], name="row"))
    write_table(frame, tmp_path / f"t{suffix}")
    back = read_table(tmp_path / f"t{suffix}")
    assert list(back.columns) == ["row", "mean"]
    assert back["row"].tolist() == [7, 3]


@pytest.mark.parametrize(
    ("index", "names"),
    [
        (None, ["y", "b"]),
        (["a"], ["a", "y", "b"]),
        (["a", "b"], ["a", "b", "y"]),
    ],
)
def test_a_parquet_index_with_a_name_is_a_column(tmp_path: Path, index: list[str] | None, names: list[str]) -> None:
    frame = pd.DataFrame({"a": [1.5, 2.5], "y": [1, 2], "b": ["u", "v"]})
    stored = frame.drop(columns="a") if index is None else frame.set_index(index)
    stored.to_parquet(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet"), frame.reindex(columns=names))


def test_an_arrow_index_with_a_name_is_a_column(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1.5, 2.5], "b": pd.Categorical(["u", "v"])})
    frame.to_feather(tmp_path / "t.feather")
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.feather"), frame)


def test_the_first_sheet_of_a_workbook_is_a_table(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    frame = pd.DataFrame({"a": [1.5, None], "when": pd.to_datetime(["2020-01-02", "2021-03-04"]), "b": ["NA", None]})
    path = tmp_path / "t.xlsx"
    with pd.ExcelWriter(path) as writer:
        frame.assign(n=[1, 2], sure=[True, False]).to_excel(writer, sheet_name="one", index=False)
        SMALL.to_excel(writer, sheet_name="two", index=False)
    back = read_table(path)
    assert list(back.columns) == ["a", "when", "b", "n", "sure"]
    assert back["when"].tolist() == frame["when"].tolist()
    assert back["b"].tolist()[0] == "NA"
    assert back.isna().sum().tolist() == [1, 0, 1, 0, 0]
    assert [len(part) for part in read_chunks(path, 1)] == [1, 1]
    path.write_bytes(b"PK no more")
    with pytest.raises(DataError, match=r"cannot read .*t\.xlsx: "):
        read_table(path)
    with pytest.raises(ConfigError, match=r"cannot write .*t\.xlsx: name the file \*\.csv"):
        write_table(frame, path)


@pytest.mark.parametrize(
    ("names", "twice"), [(["x", "y", "x"], "'x'"), ([2, 2, "2"], "'2'"), (["x", "x.1", "y"], "")]
)
def test_names_that_repeat_in_a_workbook_are_refused(tmp_path: Path, names: list, twice: str) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (names, [1, 2, 3], [4, 5, 6]):
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    if not twice:
        assert read_table(tmp_path / "t.xlsx").to_dict("list") == {"x": [1, 4], "x.1": [2, 5], "y": [3, 6]}
        return
    with pytest.raises(DataError, match=rf"t\.xlsx: column names must differ; repeated: {twice}$"):
        read_table(tmp_path / "t.xlsx")


def workbook_of(folder: Path, rows: list[list], *computed: tuple[bytes, bytes]) -> Path:
    """A workbook whose formulas have no values but those that are put in its XML, each in place of a text."""
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.create_sheet("notes").append(["=1+1"])
    book.save(folder / "bare.xlsx")
    with zipfile.ZipFile(folder / "bare.xlsx") as bare, zipfile.ZipFile(folder / "t.xlsx", "w") as full:
        for name in bare.namelist():
            data = bare.read(name)
            for old, new in computed if name.endswith("sheet1.xml") else ():
                assert old in data
                data = data.replace(old, new)
            full.writestr(name, data)
    return folder / "t.xlsx"


@pytest.mark.parametrize(
    ("rows", "cell"),
    [
        ([["a", "b"], [1, "=A2*2"], [2, 3]], "B2"),
        ([["a", "b"], [1, 2], ["=A2+1", "=B2+1"]], "A3"),
        ([["a", "b", "=A1&B1"], [1, 2, 3]], "C1"),
        ([["a", "b"], [1, 2], [], [None, None, "=A2"]], "C4"),
    ],
)
def test_a_formula_that_was_never_computed_is_refused(tmp_path: Path, rows: list[list], cell: str) -> None:
    with pytest.raises(DataError, match=rf"t\.xlsx: {cell} holds a formula that was never computed; open and save"):
        read_table(workbook_of(tmp_path, rows))


def test_a_formula_stands_for_its_value_empty_text_too(tmp_path: Path) -> None:
    number = (b'<c r="B2"><f>A2*2</f><v /></c>', b'<c r="B2"><f>A2*2</f><v>2</v></c>')
    text = (b'<c r="B3"><f>""</f><v /></c>', b'<c r="B3" t="str"><f>""</f><v></v></c>')
    path = workbook_of(tmp_path, [["a", "b"], [1, "=A2*2"], [2, '=""'], [None, 5]], number, text)
    found = read_table(path)
    assert found.isna().to_numpy().tolist() == [[False, False], [False, True], [True, False]]
    assert found["b"].tolist()[::2] == [2, 5]


def test_a_workbook_without_its_reader_is_refused_with_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, b"PK", "t.xlsx")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ConfigError, match=r"an Excel file needs openpyxl, .* pip install 'spikebayes\[table\]'"):
        read_table(path)


def test_rows_that_were_picked_have_an_index_without_a_name_which_says_nothing(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1.5, 2.5, 3.5]})
    frame.iloc[[0, 2]].to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").to_dict("list") == {"a": [1.5, 3.5]}
    frame.rename_axis("a").to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="already exists"):
        read_table(tmp_path / "t.parquet")


def test_a_table_keeps_no_notes_that_parquet_cannot_hold(tmp_path: Path) -> None:
    frame = SMALL.copy()
    frame.attrs = {"note": {1, 2}}
    write_table(frame, tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").attrs == {}
    assert frame.attrs == {"note": {1, 2}}


IDS = [None if row == 7 else 2**53 + row % 4 for row in range(40)]


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64()])
def test_whole_numbers_with_gaps_are_not_rounded(tmp_path: Path, suffix: str, kind: pa.DataType) -> None:
    """In float64 every other one above 2^53 is its neighbour."""
    stored, path = pa.table({"a": range(40), "y": pa.array(IDS, kind)}), tmp_path / f"t{suffix}"
    pq.write_table(stored, path) if suffix == ".parquet" else feather.write_feather(stored, path)
    frame = read_table(path)
    labels = ["" if value is None else str(value) for value in IDS]
    assert checked_labels(frame, ["y"])["y"].tolist() == labels
    assert [label for part in read_chunks(path, 6) for label in checked_labels(part, ["y"])["y"]] == labels
    known = frame.iloc[rows_with_target(frame, ["y"])].reset_index(drop=True)
    schema = infer_schema(known, "y", task=Task.CLASSIFICATION)
    assert schema.classes == tuple(str(2**53 + value) for value in range(4))
    assert encode_target(known, schema).tolist() == [row % 4 for row in range(40) if row != 7]
    feature = infer_schema(frame, "a", ["y"])
    assert encode_features(frame, feature).sum(0).tolist() == [10, 10, 10, 9, 1]
    for again in (".csv", ".parquet", ".arrow", ".npz"):
        write_table(frame, tmp_path / f"again{again}")
        assert checked_labels(read_table(tmp_path / f"again{again}"), ["y"])["y"].tolist() == labels


def test_ordinary_whole_numbers_with_gaps_are_floats_as_ever(tmp_path: Path) -> None:
    """So that what a run knows its table by stays the same."""
    pq.write_table(pa.table({"a": [1, None, -(2**53)], "b": [1, 2, 2**53 + 1]}), tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").dtypes.tolist() == [np.float64, np.int64]


@pytest.mark.parametrize("suffix", [".parquet", ".npz"])
def test_too_wide_a_table_is_refused_before_it_is_made(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"t{suffix}"
    if suffix == ".npz":
        np.savez(path, X=np.zeros((1, 6), np.float32))
    else:
        pd.DataFrame([range(6)]).to_parquet(path)
    monkeypatch.setattr(columns, "COLUMNS", 5)
    with pytest.raises(DataError, match="at most 5 columns; got 6: choose among them"):
        read_table(path)


def test_npz_matrix_becomes_numbered_columns(tmp_path: Path) -> None:
    x = np.arange(6, dtype=">f4").reshape(3, 2)  # [B, F], the other byte order
    np.savez(tmp_path / "t.npz", X=x, y=np.array([1, 2, 3]), site=np.array([b"a", b"b", b"a"]))
    frame = read_table(tmp_path / "t.npz")
    assert list(frame.columns) == ["x0", "x1", "y", "site"]
    assert frame["x1"].tolist() == [1.0, 3.0, 5.0]
    assert frame["site"].tolist() == ["a", "b", "a"]


def test_npz_writes_missing_text_as_empty(tmp_path: Path) -> None:
    frame = pd.DataFrame({"name": ["a", None], "n": pd.array([1, None], dtype="Int64")})
    write_table(frame, tmp_path / "t.npz")
    back = read_table(tmp_path / "t.npz")
    assert back["name"].tolist() == ["a", ""]
    np.testing.assert_array_equal(back["n"], [1.0, np.nan])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros(3), "b": np.zeros(2)}, "differ in length: 'a' 3, 'b' 2"),
        ({"X": np.zeros((2, 2)), "x1": np.zeros(2)}, "repeated: 'x1'"),
        ({"image": np.zeros((2, 2))}, "'image' has shape"),
        ({"X": np.zeros((0, 2))}, "2 columns and no rows"),
        ({"a": np.zeros(2, dtype=complex)}, "'a' is not an array of numbers or text"),
    ],
)
def test_npz_arrays_that_are_no_table(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "t.npz", **arrays)  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / "t.npz")


def test_npz_is_never_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", a=np.array([Trap(tmp_path / "sprung")], dtype=object))
    with pytest.raises(DataError, match="allow_pickle"):
        read_table(tmp_path / "t.npz")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "", "the file is empty"),
        ("t.csv", "\n\n", "the file is empty"),
        ("t.csv", "a,b\n", "2 columns and no rows"),
        ("t.csv", "a,b,a\n1,2,3\n", "repeated: 'a'"),
        ("t.csv", "a,,b\n1,2,3\n", "column 2 needs a name"),
        ("t.csv", "a,b\n1,2,3\n4,5,6\n", "more fields than the header, which names 2"),
        ("t.csv", "a,b\n1,2\n1,2,3\n", "line 3"),
        ("t.csv", b"\xff\xfe\x00\x01", "cannot read"),
        ("t.csv.gz", "a,b\n1,2\n", "gzip"),
        ("t.parquet", "a,b\n1,2\n", "cannot read"),
        ("t.npz", "a,b\n1,2\n", "not an NPZ archive"),
        ("t.xls", "a,b\n1,2\n", r"expected a file named \*.csv"),
    ],
)
def test_files_that_are_no_table(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    path = written(tmp_path, content, name)
    with pytest.raises(DataError, match=message) as caught:
        read_table(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".csv.gz", ".parquet", ".npz"])
def test_a_torn_file_is_refused_wherever_it_ends(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    write_table(SMALL, path)
    whole = path.read_bytes()
    for end in range(0, len(whole) - 1, max(1, len(whole) // 40)):
        path.write_bytes(whole[:end])
        with pytest.raises(DataError, match="cannot read"):
            read_table(path)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "t.csv")
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(DataError, match="is a folder"):
        read_table(tmp_path / "t.csv")


def test_byte_order_mark_quotes_and_gzip(tmp_path: Path) -> None:
    text = b'\xef\xbb\xbf"a","b, c"\n1,"x, y"\n'
    frame = read_table(written(tmp_path, gzip.compress(text), "T.CSV.GZ"))
    assert frame.to_dict("list") == {"a": [1], "b, c": ["x, y"]}


def test_output_paths_are_refused_beforehand_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"name the file \*.csv"):
        check_table_path(tmp_path / "t.json")
    with pytest.raises(ConfigError, match="does not exist"):
        check_table_path(tmp_path / "no" / "t.csv")
    check_table_path(tmp_path / "t.csv")
    with pytest.raises(DataError, match="repeated: 'a'"):
        write_table(pd.DataFrame([[1, 2]], columns=["a", "a"]), tmp_path / "t.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_column_of_numbers_and_text_is_refused_by_parquet_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Parquet takes one kind of values in a column: .*; write them as text") as e:
        write_table(pd.DataFrame({"a": [1.5, "x", None]}), tmp_path / "t.parquet")
    assert "\n" not in str(e.value)


def test_which_targets_are_there_is_the_schemas_to_say() -> None:
    frame = pd.DataFrame({"a": range(40), "y": ["mild", "none"] * 20})
    schema = infer_schema(frame, "y")
    alone = frame[frame["y"] == "none"]  # by itself it looks like a column of nothing
    assert len(rows_with_target(alone, ["y"], schema.targets)) == 20
    coded = pd.DataFrame({"a": range(40), "y": ["0", "1", "NA", "1"] * 10})
    there = rows_with_target(coded, ["y"])
    assert len(there) == 30
    schema = infer_schema(coded.iloc[there].reset_index(drop=True), "y")
    assert rows_with_target(coded, ["y"], schema.targets).tolist() == there.tolist()
    assert len(rows_with_target(coded, ["y"], task=Task.CLASSIFICATION)) == 40  # labels, whoever says so
    numbers = pd.DataFrame({"a": range(40), "y": [*map(str, range(39)), "none"]})
    schema = infer_schema(numbers.iloc[:39], "y", task=Task.REGRESSION)
    assert len(rows_with_target(numbers.iloc[38:], ["y"], schema.targets)) == 1
