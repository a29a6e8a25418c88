"""Tables as text: what is written stays what it is, and what is no such text is refused with a cure."""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import example, given, settings

from spikebayes.data import delimited, encode_features, infer_schema, read_table, write_table
from spikebayes.data.chunks import read_chunks
from spikebayes.data.columns import AS_WRITTEN, COLUMNS
from spikebayes.data.kinds import Levels
from spikebayes.errors import DataError

PLAIN = "area,color\n1.5,r\u00e9d\n2,bl\u00fce\n"


def table(folder: Path, content: str | bytes, name: str = "t.csv") -> pd.DataFrame:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(path)


# -- what cells become -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["1", "-20"], "i", [1, -20]),
        (["1.5", "2.0", "-0.0", "1e-05", "inf"], "f", [1.5, 2.0, -0.0, 1e-5, np.inf]),
        (["0.25", "", "1.0"], "f", [0.25, np.nan, 1.0]),
        (["True", "False"], "b", [True, False]),
        # what numbers would lose stays text
        *((cells, "O", cells) for cells in (["01", "2"], ["1.50", "2.5"], ["1", "2.5"], ["1e5", "2.0"], ["+1", "2"])),
        *((cells, "O", cells) for cells in (["-0", "1"], [" 1", "2"], ["0.00001"], ["1E5"], ["9223372036854775808"])),
        *((cells, "O", cells) for cells in (["NA", "1"], ["nan", "0.5"], ["TRUE", "FALSE"], ["True", "1"], ["1_0"])),
        *((cells, "O", cells) for cells in (["Infinity"], ["0x10"], ["1.0000000000000001"], ["\u0661"])),
        (["1", "", "2"], "O", ["1", np.nan, "2"]),
    ],
)
def test_cells_are_numbers_only_where_nothing_is_lost(
    tmp_path: Path, cells: list[str], kind: str, values: list[Any]
) -> None:
    column = table(tmp_path, "\n".join(["name,other", *(f"{cell},x" for cell in cells)]))["name"]
    assert column.dtype.kind == kind
    pd.testing.assert_series_equal(
        pd.Series(column.astype(object)), pd.Series(values, dtype=object), check_names=False
    )


@given(
    cells=st.lists(st.sampled_from(["1", "01", "1.0", "1.50", "1e3", "NA", "TRUE", "True", "nan", "x", "-0", "7"]))
)
@example(cells=["1.0", "2.5"])
@settings(deadline=None, max_examples=8)
def test_a_label_does_not_depend_on_its_neighbours(cells: list[str]) -> None:
    every = sorted({*cells, "u", "v"})
    with tempfile.TemporaryDirectory() as folder:
        lines = [f"{cell},{row}" for row, cell in enumerate(every)]
        schema = infer_schema(table(Path(folder), "\n".join(["c,y", *lines])), "y", ["c"])
        assert schema.columns["c"] == Levels(tuple(every))
        apart = [encode_features(table(Path(folder), f"c\n{cell}\n"), schema) for cell in every]
        assert torch.equal(torch.cat(apart), torch.eye(len(every)))
        if cells:
            among = encode_features(table(Path(folder), "\n".join(["c", *cells])), schema)
            assert [every[hot] for hot in among.argmax(1).tolist()] == cells


def test_only_text_says_that_it_was_text(tmp_path: Path) -> None:
    frame = table(tmp_path, "a,b\n1,x\n")
    assert frame.attrs == frame.iloc[[0]].reset_index(drop=True).attrs == {AS_WRITTEN: True}
    for suffix, kept in ((".parquet", {AS_WRITTEN: True}), (".npz", {})):
        write_table(frame, tmp_path / f"t{suffix}")
        assert read_table(tmp_path / f"t{suffix}").attrs == kept


# -- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        *((PLAIN.encode(code), "UTF-16 text; save it as UTF-8") for code in ("utf-16", "utf-16-le", "utf-16-be")),
        (PLAIN.encode("cp1252"), "line 2 holds the byte 0xe9, which is not UTF-8; save the table as CSV in UTF-8"),
        (PLAIN.encode()[:-3], "line 3 holds the byte 0xc3"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "line 1 holds the byte 0x89"),
        (bytes(100), "line 1 holds a NUL byte"),
        ("a,b\n1,x\0\n", "line 2 holds a NUL byte"),
        (b"PK\x03\x04rest", r"workbook or an archive; name it \*.xlsx, or save the table as CSV"),
        (gzip.compress(b"a,b\n", mtime=0), r"name it \*.csv.gz"),
        (b"PAR1rest", r"name it \*.parquet"),
        ("a;b\n1,5;2\n", "separated by semicolons, not commas; save it as CSV with commas, .* decimal points"),
        ("a|b\n1|2\n", "separated by bars, not commas"),
        ("a\tb\n1\t2\n", r"separated by tabs, not commas.*name it \*.tsv"),
        ("a,b\n1,2\n3\n", r"line 3, .* has fewer fields than the header, which names 2; mend it, or quote"),
        ("a,b\n1,2\n1,2,3\n", r"line 3, .* has more fields than the header, which names 2; mend it, or quote"),
        ("a,b\n1,2\n1,2,3\n", r"separators$"),
        (
            "# made by X\na,b\n1,2\n",
            r"line 2 has .* names 1; .*; if .* lines above the header, .*, delete them$",
        ),
        ('a,b\n1,"x\n2,y\n3,z\n', "line 4: unexpected end of data; close its quotes"),
        ('a,b\n1,2\n1,2\n1,"x\n2,y\n', "line 5: unexpected end of data; close its quotes"),
        ('a,b\n1,"x\n2,"y"\n', "line 3: .*close its quotes"),
        ('a,b\n1,"' + "x" * 200_000 + '"\n', "line 2: .*take the column out of the file"),
        ("1,2.5\n3,4\n", r"first line must name the columns; it holds numbers only \(1, 2.5\)"),
        (",".join(f"c{i}" for i in range(10**6)), f"at most {COLUMNS} columns; got 1000000"),
        ("a,b\n" + "1," * 10**6, r"line 2, .* has more fields"),
        ("\n\na\n1\n\n2,3\n", "line 6 has more fields"),
        ("a" * 200_000 + ",b\n1,2\n", "field larger than field limit"),
        (b"\xef\xbb\xbf", "the file is empty"),
        ("a,'=b,=b\n1,2,3\n", "repeated: '=b'"),
    ],
)
def test_what_is_no_table_of_text(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        table(tmp_path, content)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_too_long_lines_and_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "BLOCK", 1000)
    with pytest.raises(DataError, match="a line is longer than"):
        table(tmp_path, f"a,b\n1,2\n1,{'x' * 3000}\n" + "1,2\n" * 100)
    monkeypatch.setattr(delimited, "LARGEST", 100)
    with pytest.raises(DataError, match="split it, or use Parquet"):
        table(tmp_path, gzip.compress(b"a,b\n" + b"1,2\n" * 100), "t.csv.gz")


def test_a_torn_letter_between_two_blocks_is_whole(tmp_path: Path) -> None:
    text = "a,b\n" + "1,2\n" * 262143 + "3,\u00e9\n"  # the first byte of the last cell ends the first MiB
    assert text.encode()[(1 << 20) - 1 : (1 << 20) + 3] != "\u00e9".encode()
    for shift in range(4):
        frame = table(tmp_path, text.replace("a,b", "a," + "b" * (1 + shift)))
        assert frame.iloc[-1, 1] == "\u00e9"


# -- blank lines of a table of one column, in which spreadsheets write an empty cell as one ---------------------


@pytest.mark.parametrize(
    ("content", "cells"),
    [
        ("a\n0.5\n\n-2\n", ["0.5", "", "-2"]),
        ("a\r\n\r\n\r\nx\r\n\r\ny\r\n", ["", "", "x", "", "y"]),
        ("a\rx\r\ry\r", ["x", "", "y"]),
        ("a\nx\n\ny\n\n\r\n\n", ["x", "", "y"]),
        ('a\nx\n\n""\n\n', ["x", "", ""]),
        ('a\n"x\n\ny"\n\nz', ["x\n\ny", "", "z"]),
        ("\n\r\na\nx\n\ny\n", ["x", "", "y"]),
        ("\ufeff\na\nx\n\ny\n", ["x", "", "y"]),
        ("a\n" + "\n" * 40 + "x\n" + "\n" * 40, [""] * 40 + ["x"]),
        ("a\n\n\n", []),
    ],
)
def test_a_blank_line_above_the_last_row_of_one_column_is_a_missing_cell(
    tmp_path: Path, content: str, cells: list[str]
) -> None:
    for name in ("t.csv", "t.tsv", "t.csv.gz"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(content.encode()) if name.endswith("gz") else content.encode())
        if cells:
            frame = read_table(path)
            assert frame["a"].isna().tolist() == [cell == "" for cell in cells]
            assert pd.concat(read_chunks(path, 2))["a"].isna().tolist() == frame["a"].isna().tolist()
        for block in (16, 20, 1000):
            names, batches = delimited.delimited_batches(path, block)
            assert names == ["a"]
            assert [cell for part in batches for cell in part.column(0).to_pylist()] == cells


def test_one_column_with_missing_cells_at_its_end_is_written_and_read_back(tmp_path: Path) -> None:
    for values in ([0.5, None, None], ["x", None, None]):
        write_table(pd.DataFrame({"a": values}), tmp_path / "t.csv")
        assert read_table(tmp_path / "t.csv")["a"].isna().tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("\ufeffa,b\n1,x\n", {"a": [1], "b": ["x"]}),
        ("\n\na,b\r\n\r\n1,x\r\n", {"a": [1], "b": ["x"]}),
        ("a,b\r1,x\r2,y\r", {"a": [1, 2], "b": ["x", "y"]}),
        ('"a","b"\n"1","x ""y"", z\nw"\n', {"a": [1], "b": ['x "y", z\nw']}),
        ('a,b\n1,5" pipe\n', {"a": [1], "b": ['5" pipe']}),
        ('"a;b"\n1\n2\n', {"a;b": [1, 2]}),
        ("0,1,2\n4,5,6\n", {"0": [4], "1": [5], "2": [6]}),
        ("2020,name\n1,x\n", {"2020": [1], "name": ["x"]}),
        ("'=a,'b\n'-x,'tis\n", {"=a": ["-x"], "'b": ["'tis"]}),
    ],
)
def test_what_is_one(tmp_path: Path, content: str, columns: dict[str, list]) -> None:
    assert table(tmp_path, content).to_dict("list") == columns


# -- text that would run -----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".tsv"])
def test_no_cell_of_a_written_table_runs(tmp_path: Path, suffix: str) -> None:
    labels = ["=1+1", "+cmd", "-x", "@SUM(A1)", "\t=1", "\r=1", "'=1", "-1.5", "red"]
    frame = pd.DataFrame({"=name": labels, "kind": pd.Categorical(labels), "n": np.arange(9) - 4.5})
    path = tmp_path / f"t{suffix}"
    write_table(frame, path)
    text = (gzip.decompress(path.read_bytes()) if suffix == ".csv.gz" else path.read_bytes()).decode()
    rows = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if suffix == ".tsv" else ",")
    cells = [cell for row in rows for cell in row]
    assert len(cells) == 30
    assert not [cell for cell in cells if cell[0] in "=+@\t\r" or (cell[0] == "-" and not cell[1].isdigit())]
    assert "-4.5" in cells  # numbers are as they were
    back = read_table(path)
    assert back.columns.tolist() == ["=name", "kind", "n"]
    assert back["=name"].tolist() == back["kind"].tolist() == labels
