"""NCI-ALMANAC at the level of scores: ComboScores of drug pairs, structures of the drugs, expression of the lines.

The folder holds ``DTP_NCI60_ALMANAC_COMBO_SCORE.csv`` (NSC1, NSC2, then a column of ComboScores per cell line),
``nsc_smiles.csv`` (NSC, ..., isosmiles) and ``cell_line_gene_expression.csv`` (Cellline, then a column per gene:
z-scores of the COSMIC Cell Lines Project), each plain or gzipped.

References: Holbeck et al., The National Cancer Institute ALMANAC, Cancer Res. 77:3564, 2017 (ComboScore: the
growth, in percent, that the two drugs alone would lead to expect minus the growth found, summed over the doses).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from spikebayes.data.columns import listed
from spikebayes.data.combo.chemistry import describe
from spikebayes.data.combo.names import drug_name, known_key, line_key, nsc_numbers
from spikebayes.data.combo.pairs import ComboData
from spikebayes.data.combo.reading import check_distinct, find, keys, numbers, read
from spikebayes.errors import DataError
from spikebayes.machine.arguments import checked

SCORES = "DTP_NCI60_ALMANAC_COMBO_SCORE.csv"
STRUCTURES = "nsc_smiles.csv"
EXPRESSION = "cell_line_gene_expression.csv"
INSIDE = "nci_almanac"

NO_SCORE = "missing score"
NO_STRUCTURE = "drug without SMILES"
NO_EXPRESSION = "cell line without expression"


@checked
def load_almanac(
    folder: Path, *, fingerprint_bits: int = 1024, hand_matches: bool = False, progress: bool = False
) -> ComboData:
    """The scores whose two drugs have a structure and whose cell line has expression: 190,300 of 306,365.

    Lines are joined by their names in upper case, letters and digits alone, without ``/ATCC``: 52 of the 60 screened
    lines have expression, which gives the documented 190,300. Two more can be matched by hand: HL-60(TB) with the
    expression of HL-60 (3,448 scores), UO-31 with that of "U031" (3,716); HL-60(TB) is a subline of its own, so they
    are left out unless asked for, and with them there are 197,464.

    113 of the table's 5,355 pairs stand in it twice, once in each order, with scores that differ (two screens);
    both are kept, as rows of their own.

    Args:
        folder: holds the three files, or a folder ``nci_almanac`` that does.
        fingerprint_bits: length of the Morgan fingerprint beside the descriptors; 0 leaves it out.
        hand_matches: match HL-60(TB) and UO-31 by hand.
        progress: show a bar on standard error.

    Returns:
        Cells in the score table's order with expression as published, drugs by NSC number with RDKit descriptors
        and fingerprint bits (see :func:`~spikebayes.data.combo.chemistry.describe`), rows in the table's order,
        the ComboScore as target; ``unused`` counts the table's other entries, which add up to all 321,300.

    Raises:
        ConfigError: RDKit is not installed.
        ConfigError: a negative number of fingerprint bits.
        DataError: a file that is missing, torn, empty or not UTF-8; a missing column; text or infinite values
            among scores or expression; a pair that occurs twice in one order; a cell line or drug that occurs
            twice; a structure that cannot be read; no usable score.

    Example:
        >>> data = load_almanac(Path("data"))  # doctest: +SKIP
        >>> len(data), len(data.cell_names), len(data.drug_names)  # doctest: +SKIP
        (190300, 52, 87)
    """
    folders = (Path(folder), Path(folder) / INSIDE)
    pairs, lines, scores = _scores(find(SCORES, folders))  # [P, 2], L names, [P, L]
    structures = _structures(find(STRUCTURES, folders))
    line_keys, genes, expression = _expression(find(EXPRESSION, folders))

    measured = ~np.isnan(scores)  # [P, L]
    drawn = np.isin(pairs, list(structures)).all(axis=1, keepdims=True)  # [P, 1]
    place = {key: row for row, key in enumerate(line_keys)}
    found = [known_key(line, place, hand_matches) for line in lines]
    profiled = np.array([key is not None for key in found])  # [L]
    usable = measured & drawn & profiled
    unused = {
        NO_SCORE: int((~measured).sum()),
        NO_STRUCTURE: int((measured & ~drawn).sum()),
        NO_EXPRESSION: int((measured & drawn & ~profiled).sum()),
    }
    if not usable.any():
        reasons = listed(f"{reason} {count}" for reason, count in unused.items())
        raise DataError(f"none of the {scores.size} scores in {folder} can be used: {reasons}")

    pair, line = np.nonzero(usable)  # [N] each
    used_lines, cell = np.unique(line, return_inverse=True)
    used_drugs, drug = np.unique(pairs[pair], return_inverse=True)  # drug [N, 2]
    features, columns = describe(
        {drug_name(nsc): structures[nsc] for nsc in used_drugs.tolist()},
        fingerprint_bits=fingerprint_bits,
        progress=progress,
    )
    rows_of = [place[key] for key in (found[column] for column in used_lines) if key is not None]
    return ComboData(
        cells=torch.from_numpy(expression[rows_of].astype(np.float32)),
        drugs=torch.from_numpy(features),
        cell_names=tuple(lines[column] for column in used_lines),
        drug_names=tuple(drug_name(nsc) for nsc in used_drugs.tolist()),
        cell_columns=genes,
        drug_columns=columns,
        index=torch.from_numpy(np.column_stack([cell, drug.reshape(-1, 2)])),
        target=torch.from_numpy(scores[usable].astype(np.float32)[:, None]),
        target_name="ComboScore",
        unused=unused,
    )


def _scores(path: Path) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """``[P, 2]`` NSC numbers, names of L cell lines, ``[P, L]`` scores with NaN where missing."""
    frame = read(path, ",", ("NSC1", "NSC2"))
    lines = [str(name) for name in frame.columns if name not in ("NSC1", "NSC2")]
    check_distinct([line_key(line) for line in lines], "cell lines", path)
    pairs = np.column_stack([nsc_numbers(keys(frame, side, path), side, path) for side in ("NSC1", "NSC2")])
    twice = pd.DataFrame(pairs).duplicated().to_numpy()
    if twice.any():
        first = " and ".join(drug_name(nsc) for nsc in pairs[twice.argmax()])
        raise DataError(
            f"{path}: {twice.sum()} of {len(pairs)} rows repeat a pair in the same order (first: {first})"
        )
    return pairs, tuple(lines), numbers(frame, lines, path)


def _structures(path: Path) -> dict[int, str]:
    """SMILES by NSC number; a drug whose SMILES is blank has none."""
    frame = read(path, ",", ("NSC", "isosmiles"), only=())
    names = keys(frame, "NSC", path)
    nsc = nsc_numbers(names, "NSC", path)
    check_distinct([drug_name(number) for number in nsc.tolist()], "drugs", path)
    smiles = frame["isosmiles"].fillna("").str.strip()
    return {number: text for number, text in zip(nsc.tolist(), smiles, strict=True) if text}


def _expression(path: Path) -> tuple[list[str], tuple[str, ...], np.ndarray]:
    """Keys of E cell lines, names of G genes, ``[E, G]`` expression."""
    frame = read(path, ",", ("Cellline",))
    line_keys = [line_key(name) for name in keys(frame, "Cellline", path)]
    check_distinct(line_keys, "cell lines", path)
    genes = [str(name) for name in frame.columns if name != "Cellline"]
    return line_keys, tuple(genes), numbers(frame, genes, path)
