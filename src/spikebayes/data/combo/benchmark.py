"""The original's task (CANDLE Pilot1 Combo): how cell lines grow under drug pairs, from the files of its publication.

The folder holds three files under their published names, each plain or gzipped:

* ``ComboDrugGrowth_Nov2017.csv``, the dose-level table of NCI-ALMANAC: NSC1, NSC2, CONC1, CONC2, CELLNAME,
  PERCENTGROWTH, VALID and columns that are not read. One row is one measurement.
* ``combined_rnaseq_data_lincs1000``, tab-separated: Sample, then 942 genes. Rows of the NCI-60 are ``NCI60.786-0``
  and so on; those of other studies are not read.
* ``pan_drugs_dragon7_descriptors.tsv``, tab-separated: NAME, then Dragon7 descriptors. Rows of the NCI are
  ``NSC.740`` and so on; those of other studies are not read.

The target is the mean over replicates, then the minimum over concentrations, of PERCENTGROWTH / 100. As in the
published code, a pair counts per order of its drugs, so one that was screened in both has two rows.

None of the three files was at hand when this was written: names, columns and target are those of the published code.
Assumed beside them: the two tables name a cell line alike but for case, punctuation, ``NCI60.``, ``/ATCC`` and the
hand match HL-60(TB) = HL-60 (the published code reads a table of names instead). The published network takes 942 and
3,820 features, the columns that are not wholly missing; :class:`~spikebayes.data.combo.scaling.ComboScaling` drops
those and the constant ones, and counts both.

References: Xia et al., Predicting tumor cell line response to drug pairs with deep learning, BMC Bioinformatics
19:486, 2018; Wycoff et al., Neuromorphic Acceleration for Approximate Bayesian Inference on Neural Networks via
Permanent Dropout, ICONS 2019.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from spikebayes.data.columns import listed
from spikebayes.data.combo.names import drug_name, known_key, line_key, nsc_numbers
from spikebayes.data.combo.pairs import ComboData
from spikebayes.data.combo.reading import check_distinct, find, keys, numbers, read
from spikebayes.errors import DataError
from spikebayes.machine.arguments import checked

GROWTH = "ComboDrugGrowth_Nov2017.csv"
EXPRESSION = "combined_rnaseq_data_lincs1000"
DESCRIPTORS = "pan_drugs_dragon7_descriptors.tsv"

NOT_VALID = "measurement not marked valid"
NO_GROWTH = "missing growth"
ONE_DRUG = "single drug"
NO_CONCENTRATION = "missing concentration"
NO_DESCRIPTORS = "drug without descriptors"
NO_EXPRESSION = "cell line without expression"


@checked
def load_benchmark(folder: Path, *, single_drugs: bool = False) -> ComboData:
    """Growth fraction by cell line and drug pair, with the original's features.

    Args:
        folder: holds the three files.
        single_drugs: keep the measurements of one drug as a pair of the drug with itself, as the published code
            does; else they are unused.

    Returns:
        Cell lines and drugs in the order of their tables, a row per cell line and ordered pair, sorted by cell line,
        drug 1 and drug 2; the growth fraction as target (1 as untreated, 0 no growth, -1 all cells dead);
        ``unused`` counts measurements.

    Raises:
        DataError: a file that is missing, torn, empty or not UTF-8; a missing column; text or infinite values
            among the numbers; a cell line or drug that occurs twice; no usable measurement.

    Example:
        >>> load_benchmark(Path("combo")).target_name  # doctest: +SKIP
        'growth fraction'
    """
    folders = [Path(folder)]
    growth, lines = _growth(find(GROWTH, folders))
    genes_path, drugs_path = find(EXPRESSION, folders), find(DESCRIPTORS, folders)
    cell_names, genes, expression = _features(genes_path, "Sample", "NCI60.", "cell lines")
    numbered, descriptors, chemistry = _features(drugs_path, "NAME", "NSC.", "drugs")
    drugs = nsc_numbers(numbered, "NAME", drugs_path)
    check_distinct([drug_name(nsc) for nsc in drugs.tolist()], "drugs", drugs_path)
    line_keys = [line_key(name) for name in cell_names]
    check_distinct(line_keys, "cell lines", genes_path)

    single = (growth["nsc2"] < 0).to_numpy()  # [rows]
    if single_drugs:
        for what in ("nsc", "conc"):
            growth[f"{what}2"] = growth[f"{what}2"].mask(single, growth[f"{what}1"])
    growth["cell"] = _cell_rows(lines, line_keys)
    for side in "12":
        growth[f"drug{side}"] = pd.Index(drugs).get_indexer(pd.Index(growth[f"nsc{side}"]))  # -1: not there
    unused, usable = _sift(
        {
            NOT_VALID: ~growth["valid"],
            NO_GROWTH: growth["growth"].isna(),
            ONE_DRUG: single & (not single_drugs),
            NO_CONCENTRATION: growth["conc1"].isna() | growth["conc2"].isna(),
            NO_DESCRIPTORS: (growth["drug1"] < 0) | (growth["drug2"] < 0),
            NO_EXPRESSION: growth["cell"] < 0,
        }
    )
    if not usable.any():
        reasons = listed((f"{reason} {count}" for reason, count in unused.items()), len(unused))
        raise DataError(f"none of the {len(growth)} measurements in {folder} can be used: {reasons}")

    index, least = _least_growth(pd.DataFrame(growth[usable]))
    used_cells, cell = np.unique(index[:, 0], return_inverse=True)
    used_drugs, drug = np.unique(index[:, 1:], return_inverse=True)  # drug [N, 2]
    return ComboData(
        cells=torch.from_numpy(expression[used_cells].astype(np.float32)),
        drugs=torch.from_numpy(chemistry[used_drugs].astype(np.float32)),
        cell_names=tuple(cell_names[row] for row in used_cells),
        drug_names=tuple(drug_name(nsc) for nsc in drugs[used_drugs].tolist()),
        cell_columns=genes,
        drug_columns=descriptors,
        index=torch.from_numpy(np.column_stack([cell, drug.reshape(-1, 2)])),
        target=torch.from_numpy((least / 100).astype(np.float32)[:, None]),
        target_name="growth fraction",
        unused=unused,
    )


def _cell_rows(lines: list[str], known: list[str]) -> np.ndarray:
    """``[rows]`` int64: where the cell line of each measurement is among the known keys; -1 if nowhere."""
    place = {key: row for row, key in enumerate(known)}
    found = {name: known_key(name, place, by_hand=True) for name in set(lines)}
    rows = {name: -1 if key is None else place[key] for name, key in found.items()}
    return np.array([rows[name] for name in lines], dtype=np.int64)


def _sift(faults: dict[str, Any]) -> tuple[dict[str, int], np.ndarray]:
    """How many rows have each fault and none before it; ``[rows]`` bool, which have none."""
    usable = np.array(True)
    counts: dict[str, int] = {}
    for reason, fault in faults.items():
        faulty = np.asarray(fault, dtype=bool)
        counts[reason] = int((usable & faulty).sum())
        usable = usable & ~faulty
    return counts, usable


def _least_growth(growth: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """``[N, 3]`` int64 cell, drug 1, drug 2; ``[N]`` the least, over doses, of the mean over replicates."""
    triple = ["cell", "drug1", "drug2"]
    doses = growth.groupby([*triple, "conc1", "conc2"], as_index=False)["growth"].mean()
    least = pd.DataFrame(doses).groupby(triple, as_index=False)["growth"].min()
    frame = pd.DataFrame(least)
    return frame[triple].to_numpy(dtype=np.int64), frame["growth"].to_numpy(dtype=np.float64)


def _growth(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Measurements: nsc1, nsc2 (-1: a single drug), conc1, conc2, growth in percent, valid; their cell lines."""
    columns = ("CONC1", "CONC2", "PERCENTGROWTH")
    table = read(path, ",", ("NSC1", "NSC2", "CELLNAME", "VALID"), only=columns)
    second = table["NSC2"].fillna("").str.strip()
    values = numbers(table, columns, path)  # [rows, 3]
    frame = pd.DataFrame(
        {
            "nsc1": nsc_numbers(keys(table, "NSC1", path), "NSC1", path),
            "nsc2": np.full(len(table), -1, dtype=np.int64),
            "conc1": values[:, 0],
            "conc2": values[:, 1],
            "growth": values[:, 2],
            "valid": (table["VALID"].fillna("").str.strip() == "Y").to_numpy(dtype=bool),
        }
    )
    paired = (second != "").to_numpy(dtype=bool)
    frame.loc[paired, "nsc2"] = nsc_numbers(second[paired].tolist(), "NSC2", path)
    return frame, keys(table, "CELLNAME", path)


def _features(path: Path, key: str, prefix: str, what: str) -> tuple[list[str], tuple[str, ...], np.ndarray]:
    """Names without the prefix of the rows that have it, feature columns, ``[rows, columns]``."""
    frame = read(path, "\t", (key,))
    names = keys(frame, key, path)
    ours = [name.startswith(prefix) for name in names]
    if not any(ours):
        raise DataError(f"{path}: none of the {len(names)} {what} is named {prefix}...")
    columns = [str(name) for name in frame.columns if name != key]
    kept = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
    return kept, tuple(columns), numbers(frame, columns, path)[ours]
