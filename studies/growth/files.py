"""The benchmark's three files, made of other dose-response tables: DECREASE's growth, ALMANAC's features.

What the tables do not know is written as missing, and told: most of the drugs and lines are not in ALMANAC. Each drug
and line has an indicator column besides, so that those of which nothing is known differ.

Reference: Ianevski et al., Prediction of drug combination effects with a minimal set of experiments, Nature Machine
Intelligence 1:568, 2019 (the dose-response tables).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spikebayes import DataError
from spikebayes.data.combo import ComboData, load_almanac
from spikebayes.machine.files import atomic, make_folder

SOURCE, ALMANAC = "decrease_dose_response", "nci_almanac"
TABLES = {"combos_192.csv.gz": "viability", "combos_18.csv.gz": "inhibition"}  # what Response is, in percent
COLUMNS = ["PairIndex", "Drug1", "Drug2", "Conc1", "Conc2", "Response", "Cell"]
GROWTH = "ComboDrugGrowth_Nov2017.csv"
EXPRESSION = "combined_rnaseq_data_lincs1000"
DESCRIPTORS = "pan_drugs_dragon7_descriptors.tsv"
NAMES = (GROWTH, EXPRESSION, DESCRIPTORS)
SYNONYMS = {"GDC-0068": "Ipatasertib"}  # one compound under its code and its name
MADE_UP = 9_000_001  # the first NSC number of compounds that ALMANAC does not list: none there is above 800,000
NANOMOLAR = 1e-9


@dataclass(frozen=True, eq=False)
class Known:
    """What ALMANAC knows of drugs and lines.

    Args:
        numbers: NSC numbers by drug, keys of :func:`spelt`.
        data: its lines and drugs with their features.
    """

    numbers: dict[str, int]
    data: ComboData

    @classmethod
    def read(cls, folder: Path) -> Known:
        """From the folder of the data sets."""
        names = pd.read_csv(folder / ALMANAC / "ComboCompoundNames_small.txt", sep="\t")
        numbers = {spelt(name): int(nsc) for nsc, name in zip(names["IX"], names["Drug"], strict=True)}
        return cls(numbers, load_almanac(folder))


def spelt(name: str) -> str:
    """One spelling of a name: lower case, letters and digits.

    Example:
        >>> spelt("MDA-MB-231") == spelt("MDAMB231")
        True
    """
    return re.sub(r"[^a-z0-9]", "", name.lower())


def write_benchmark(data: Path, folder: Path) -> dict[str, Any]:
    """Write the three files, and say what is in them.

    Args:
        data: folder of the data sets: DECREASE's tables, and ALMANAC.
        folder: for the files.

    Returns:
        Counts for the page.

    Raises:
        DataError: a table that is missing, lacks a column, or says something else than it should.
    """
    doses, known = pd.concat([_doses(data / SOURCE, name) for name in TABLES]), Known.read(data)
    drugs = sorted({*doses["Drug1"], *doses["Drug2"]})
    lines = sorted(set(doses["Cell"]))
    unlisted = [name for name in drugs if spelt(name) not in known.numbers]
    nsc = {name: known.numbers.get(spelt(name)) for name in drugs} | {n: MADE_UP + k for k, n in enumerate(unlisted)}
    make_folder(folder)
    told = _write_growth(doses, nsc, folder / GROWTH)
    features = {
        "cells": _write_features(
            folder / EXPRESSION,
            "Sample",
            {f"NCI60.{name}": (name, spelt(name)) for name in lines},
            (known.data.cell_columns, [spelt(name) for name in known.data.cell_names], known.data.cells.numpy()),
        ),
        "drugs": _write_features(
            folder / DESCRIPTORS,
            "NAME",
            {f"NSC.{nsc[name]}": (name, f"NSC.{nsc[name]}") for name in drugs},
            (known.data.drug_columns, known.data.drug_names, known.data.drugs.numpy()),
        ),
    }
    return told | features | {"listed": [name for name in drugs if name not in unlisted], "made_up": len(unlisted)}


def _doses(folder: Path, name: str) -> pd.DataFrame:
    """A table's measurements, Response as percent viability, compounds by one name."""
    path = folder / name
    try:
        table = pd.DataFrame(pd.read_csv(path)[COLUMNS])
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise DataError(f"{path} is no table of dose responses ({error}); fetch {SOURCE} anew") from error
    if TABLES[name] == "inhibition":
        table["Response"] = 100 - table["Response"]
    doses, tops = (
        each.to_numpy()
        for each in (table[["Conc1", "Conc2"]], table.groupby("PairIndex")[["Conc1", "Conc2"]].transform("max"))
    )
    response = table["Response"].to_numpy()
    least, greatest = (float(response[rows.all(1)].mean()) for rows in (doses == tops, doses == 0))
    if not least < 70 < greatest:
        raise DataError(
            f"{path}: Response was taken for percent {TABLES[name]}, but then {greatest:.0f} % live untreated and "
            f"{least:.0f} % at the highest doses"
        )
    return pd.DataFrame(table.replace({"Drug1": SYNONYMS, "Drug2": SYNONYMS}))


def _write_growth(doses: pd.DataFrame, nsc: dict[str, Any], path: Path) -> dict[str, Any]:
    """A row per measurement; where one of the doses is 0 it is of a single drug, the second left blank."""
    one, two = (doses["Conc1"] > 0).to_numpy(), (doses["Conc2"] > 0).to_numpy()
    first, second = (np.array([nsc[name] for name in doses[c]]) for c in ("Drug1", "Drug2"))
    low, high = (np.array([float(f"{NANOMOLAR * dose:.6g}") for dose in doses[c]]) for c in ("Conc1", "Conc2"))
    table = pd.DataFrame(
        {
            "NSC1": np.where(one, first, second),
            "CONC1": np.where(one, low, high),
            "NSC2": pd.array(second, dtype="Int64"),
            "CONC2": high,
            "PERCENTGROWTH": doses["Response"].to_numpy(),
            "VALID": "Y",
            "CELLNAME": doses["Cell"].to_numpy(),
        }
    )
    table.loc[~(one & two), ["NSC2", "CONC2"]] = pd.NA
    table = table[one | two]
    table.insert(0, "COMBODRUGSEQ", np.arange(1, len(table) + 1))
    with atomic(path) as partial:
        table.to_csv(partial, index=False)
    return {
        "tables": dict(TABLES),
        "measurements": len(table),
        "of_pairs": int((one & two).sum()),
        "untreated": int((~one & ~two).sum()),
        "doses_per_pair": int((one & two).sum()) / len(doses.groupby(["Drug1", "Drug2", "Cell"])),
    }


def _write_features(
    path: Path,
    key: str,
    rows: dict[str, tuple[str, str]],
    known: tuple[Sequence[str], Sequence[str], np.ndarray],
) -> dict[str, Any]:
    """Known columns, missing where nothing is known, and an indicator column per row.

    Args:
        path: file to write. key: its column of names.
        rows: by name in the file, the name in the tables and that among the known.
        known: columns, names, and ``[names, columns]``.
    """
    columns, names, values = known
    place = {name: row for row, name in enumerate(names)}
    found = [place.get(among, -1) for _, among in rows.values()]
    features = np.full((len(rows), len(columns)), np.nan)
    for row, there in enumerate(found):
        if there >= 0:
            features[row] = values[there]
    indicators = pd.DataFrame(np.eye(len(rows), dtype=int), columns=[f"is {name}" for name, _ in rows.values()])
    frame = pd.DataFrame({key: list(rows)})
    frame = pd.concat([frame, pd.DataFrame(features, columns=list(columns)), indicators], axis=1)
    with atomic(path) as partial:
        frame.to_csv(partial, sep="\t", index=False, na_rep="na")
    return {
        "rows": len(rows),
        "known": [name for (name, _), there in zip(rows.values(), found, strict=True) if there >= 0],
        "columns": len(columns),
        "indicators": len(rows),
    }
