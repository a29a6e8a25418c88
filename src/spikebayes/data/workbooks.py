"""Excel workbooks: the first sheet as a table, of values that somebody computed.

A program that writes a workbook leaves its formulas without values; a spreadsheet computes them when it saves it.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd

from spikebayes.data.columns import listed, repeated
from spikebayes.errors import DataError
from spikebayes.machine.extras import needed

FORMULA = re.compile(rb"<(\w+:)?f[\s/>]")  # the start of one, in the XML of a sheet
EMPTY_TEXT = "str"  # what the cell of a formula is said to hold whose value is text, empty text too


def read_workbook(path: Path) -> pd.DataFrame:
    """The first sheet of a workbook, its first line the names, which pandas would number where they repeat.

    Raises:
        DataError: names that repeat; a formula that was never computed.
        ConfigError: openpyxl is not installed.
        Whatever openpyxl finds in a torn file.
    """
    openpyxl = needed("openpyxl", "an Excel file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of styles and the like
        with pd.ExcelFile(path, engine="openpyxl") as book:
            if _has_formulas(path):
                formulas = openpyxl.load_workbook(path, read_only=True, keep_links=False)
                try:
                    _check_computed(book.book.worksheets[0], formulas.worksheets[0])
                finally:
                    formulas.close()
            first = pd.read_excel(book, header=None, nrows=1, keep_default_na=False, na_values=[""])
            twice = repeated([str(name) for name in first.to_numpy(object).ravel() if not pd.isna(name)])
            if twice:
                raise DataError(f"column names must differ; repeated: {listed(map(repr, twice))}")
            frame = pd.read_excel(book, keep_default_na=False, na_values=[""])
    return frame.set_axis([str(name) for name in frame.columns], axis=1)


def _has_formulas(path: Path) -> bool:
    """Whether any sheet has some; most tables have none, and need not be looked at twice."""
    with zipfile.ZipFile(path) as book:
        return any(FORMULA.search(book.read(name)) for name in book.namelist() if name.endswith(".xml"))


def _check_computed(values: Any, formulas: Any) -> None:
    """Refuse a formula without a value, which would be read as an empty cell.

    Args:
        values: openpyxl's read-only sheet, of values.
        formulas: the same sheet, of formulas.
    """
    for sheet in (values, formulas):
        sheet.reset_dimensions()  # what a file says of its extent may be wrong
    for rows in zip(values.rows, formulas.rows, strict=True):
        for value, formula in zip(*rows, strict=True):
            if formula.data_type == "f" and value.value is None and value.data_type != EMPTY_TEXT:
                raise DataError(
                    f"{formula.coordinate} holds a formula that was never computed; open and save the file in a "
                    "spreadsheet, or save values"
                )
