"""NCI-ALMANAC scores: every usable score is loaded as published, every other one counted, bad files refused."""

from __future__ import annotations

import csv
import gzip
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from spikebayes.data.combo import ComboData, ComboScaling, SplitBy, load_almanac, split_pairs
from spikebayes.errors import ConfigError, DataError

SCORES = "DTP_NCI60_ALMANAC_COMBO_SCORE.csv"
SMILES = "nsc_smiles.csv"
GENES = "cell_line_gene_expression.csv"

FILES = {
    SCORES: "\ufeffNSC1,NSC2,A549/ATCC,HL-60(TB),UO-31,SR\n740,752,-57,3,NA,9\n752,740,4,5,6,NA\n740,999,1,2,3,4\n",
    SMILES: "NSC,dtp_name,pubchemid,isosmiles\n752,Ethanol,1,CCO\n740,Water,2,O\n999,Unknown,3,\n",
    GENES: "Cellline,A1CF,ABI1\nU031,0.5,1\nA-549,2.5,\nHL-60,-1,-2\n",
}


def made_up(folder: Path, **changed: str | bytes) -> Path:
    """The small files above, two of them gzipped; ``changed`` replaces contents: scores, smiles, genes."""
    names = {"scores": SCORES, "smiles": SMILES, "genes": GENES}
    for key, name in names.items():
        content = changed.get(key, FILES[name])
        raw = content.encode() if isinstance(content, str) else content
        if key == "smiles":
            (folder / name).write_bytes(raw)
        else:
            (folder / f"{name}.gz").write_bytes(gzip.compress(raw))
    return folder


def zeros(rows: int) -> np.ndarray:
    return np.zeros((rows, 1), np.float32)


@pytest.fixture(scope="module")
def home(real: Path) -> Path:
    if not (real / "nci_almanac").is_dir():
        pytest.skip(f"no nci_almanac in {real}; set SPIKEBAYES_DATA")
    return real / "nci_almanac"


@pytest.fixture(scope="module")
def almanac(home: Path) -> ComboData:
    return load_almanac(home.parent)


def test_usable_scores_are_joined_and_the_others_counted(tmp_path: Path) -> None:
    data = load_almanac(made_up(tmp_path), fingerprint_bits=16)
    assert (data.cell_names, data.drug_names) == (("A549/ATCC",), ("NSC.740", "NSC.752"))
    assert data.index.tolist() == [[0, 0, 1], [0, 1, 0]]
    assert data.target.tolist() == [[-57.0], [4.0]]
    assert data.target_name == "ComboScore"
    assert data.cell_columns == ("A1CF", "ABI1")
    assert data.cells[0, 0] == 2.5
    assert data.cells[0, 1].isnan()
    assert data.drugs[:, data.drug_columns.index("MolWt")].tolist() == pytest.approx([18.015, 46.069], abs=1e-3)
    assert data.unused == {"missing score": 2, "drug without SMILES": 4, "cell line without expression": 4}
    assert len(data) + sum(data.unused.values()) == 3 * 4


def test_plain_files_do_as_well_as_gzipped(tmp_path: Path) -> None:
    packed = load_almanac(made_up(tmp_path))
    for name in (SCORES, GENES):
        (tmp_path / f"{name}.gz").unlink()
        (tmp_path / name).write_text(FILES[name], "utf-8")
    plain = load_almanac(tmp_path)
    assert torch.equal(plain.index, packed.index)
    assert torch.equal(plain.target, packed.target)


def test_hand_matches_are_made_when_asked_for(tmp_path: Path) -> None:
    data = load_almanac(made_up(tmp_path), hand_matches=True, fingerprint_bits=0)
    assert data.cell_names == ("A549/ATCC", "HL-60(TB)", "UO-31")
    assert data.cells[:, 0].tolist() == [2.5, -1.0, 0.5]
    assert data.unused["cell line without expression"] == 1
    assert data.target[:, 0].tolist() == [-57.0, 3.0, 4.0, 5.0, 6.0]


def test_the_parent_folder_does_and_what_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "nci_almanac").mkdir()
    made_up(tmp_path / "nci_almanac")
    assert len(load_almanac(tmp_path)) == 2
    (tmp_path / "nci_almanac" / SMILES).unlink()
    with pytest.raises(DataError, match=re.escape(f"no {SMILES} or {SMILES}.gz in {tmp_path}, {tmp_path}/nci_alm")):
        load_almanac(tmp_path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"scores": ""}, f"{SCORES}.gz: the file is empty"),
        ({"scores": "NSC1,NSC2,SR\n"}, "it has 3 columns and no rows"),
        ({"scores": "NSC1,NCS2,SR\n1,2,3\n"}, r"no column 'NSC2' \(did you mean .*'NCS2'"),
        ({"scores": "NSC1,NSC2,SR,SR\n1,2,3,4\n"}, "column names must differ; repeated: 'SR'"),
        ({"scores": "NSC1,NSC2,A549/ATCC,A-549\n1,2,3,4\n"}, "1 of 1 cell lines occur more than once: A549"),
        ({"scores": "NSC1,NSC2, ,SR\n1,2,3,4\n"}, "column 3 has no name"),
        ({"scores": "NSC1,NSC2,SR\n1,2,3,4\n"}, "torn, or no such table .*fetch it anew"),
        (
            {"scores": "NSC1,NSC2,SR,K\n1,2,3,4\n1,3,x,4\n1,4,1,True\n1,5,y,2\n"},
            "3 values are not numbers: 'x' in column",
        ),
        ({"scores": "NSC1,NSC2,SR\n1,2,3\n1,3,inf\n1,4,1e39\n"}, r"2 values are infinite.*first: column 'SR', row 2"),
        ({"scores": "NSC1,NSC2,SR\n1,2,3\n1,3,2\n1,2,\n"}, r"1 of 3 rows repeat.*first: NSC.1 and NSC.2"),
        ({"scores": "NSC1,NSC2,SR\n1,2,3\n1,,3\n"}, r"1 of 2 rows have no NSC2 \(first: row 2"),
        ({"scores": "NSC1,NSC2,SR\n1,2,3\n1,2.5,3\n"}, "1 of 2 values of NSC2 are not NSC numbers: '2.5'"),
        ({"scores": "NSC1,NSC2,SR\n1,2,\xe9\n".encode("latin-1")}, "it is not in UTF-8"),
        ({"scores": "NSC1,NSC2,SR\n740,752,3\n740,9,\n"}, r"none of the 2 scores .* missing score 1, .* 0, .* 1$"),
        (
            {"scores": "NSC1,NSC2,HL-60\n740,999,3\n9,740,1\n"},
            r"none of the 2 .* missing score 0, drug without SMILES 2",
        ),
        ({"smiles": "NSC,SMILES\n740,O\n"}, "no column 'isosmiles'"),
        ({"smiles": "NSC,isosmiles\n740,O\n740,CC\n752,CCO\n"}, "1 of 2 drugs occur more than once: NSC.740"),
        ({"smiles": "NSC,isosmiles\n740,O\n752,C1CC\n"}, r"1 of 2 SMILES cannot be read: NSC.752 \('C1CC'\)"),
        ({"smiles": "NSC,isosmiles\n740,O\n,CC\n"}, "1 of 2 rows have no NSC"),
        ({"genes": "Line,A1CF\nA549,1\n"}, "no column 'Cellline'"),
        ({"genes": "Cellline,A1CF\nA549,1\nA-549,2\n"}, "1 of 1 cell lines occur more than once: A549"),
        ({"genes": "Cellline,A1CF\nA549,1\nSR,high\n"}, r"1 values are not numbers: 'high' in column 'A1CF', row 2"),
        ({"genes": "Cellline,A1CF\nA549,inf\n"}, "1 values are infinite"),
        ({"genes": "Cellline,A1CF\n,1\n"}, "1 of 1 rows have no Cellline"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, changed: dict[str, str | bytes], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load_almanac(made_up(tmp_path, **changed))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "harm", [lambda raw: raw[:-20], lambda raw: raw[:40] + b"\0" * 9 + raw[49:], lambda _: b"NSC1"]
)
def test_torn_and_foreign_archives_are_refused(tmp_path: Path, harm) -> None:
    path = made_up(tmp_path) / f"{SCORES}.gz"
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(DataError, match=rf"{SCORES}.gz: torn, or no such table .*fetch it anew"):
        load_almanac(tmp_path)


def test_a_bad_fingerprint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="0 bits or more"):
        load_almanac(made_up(tmp_path), fingerprint_bits=-8)


@pytest.mark.slow
def test_the_published_scores_are_loaded_as_published(home: Path, almanac: ComboData) -> None:
    assert (len(almanac), len(almanac.cell_names), len(almanac.drug_names)) == (190_300, 52, 87)
    assert almanac.unused == {
        "missing score": 14_935,
        "drug without SMILES": 90_335,
        "cell line without expression": 25_730,
    }
    assert len(almanac) + sum(almanac.unused.values()) == 5355 * 60
    assert almanac.cells.shape == (52, 651)
    assert not almanac.cells.isnan().any()
    assert len([name for name in almanac.drug_columns if name.startswith("morgan2.")]) == 1024
    with gzip.open(home / f"{SCORES}.gz", "rt", encoding="utf-8-sig") as file:
        table = {(row.pop("NSC1"), row.pop("NSC2")): row for row in csv.DictReader(file)}
    drugs = [name.removeprefix("NSC.") for name in almanac.drug_names]
    for (cell, one, two), score in zip(almanac.index.tolist(), almanac.target[:, 0].tolist(), strict=True):
        assert float(table[drugs[one], drugs[two]][almanac.cell_names[cell]]) == score
    assert len(almanac.index.unique(dim=0)) == len(almanac)  # so no score is in twice
    with gzip.open(home / f"{GENES}.gz", "rt") as file:
        published = {row["Cellline"]: row for row in csv.DictReader(file)}
    row = almanac.cell_names.index("HS 578T")
    assert almanac.cells[row].tolist() == pytest.approx(
        [float(published["Hs-578-T"][g]) for g in almanac.cell_columns]
    )


def test_by_hand_two_more_lines_are_matched(home: Path, almanac: ComboData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spikebayes.data.combo.almanac.describe", lambda smiles, **_: (zeros(len(smiles)), ("mass",)))
    data = load_almanac(home, hand_matches=True)
    assert len(data) == 197_464
    assert set(data.cell_names) - set(almanac.cell_names) == {"HL-60(TB)", "UO-31"}


def test_held_out_drugs_are_in_no_training_row_of_the_real_data(almanac: ComboData) -> None:
    split = split_pairs(almanac, SplitBy.DRUG, seed=3)
    drugs = {name: set(almanac.index[getattr(split, name), 1:].flatten().tolist()) for name in ("train", "test")}
    held = drugs["test"] - drugs["train"]
    assert held
    assert (torch.isin(almanac.index[split.test, 1:], torch.tensor(sorted(held)))).any(1).all()
    assert abs(len(split.test) / len(almanac) - 0.1) < 0.02
    scaling = ComboScaling.learn(almanac, split.train)
    tables = scaling.apply(almanac)
    assert tables.drugs.isfinite().all()
    assert tables.drugs.shape[1] == 1241 - scaling.drugs.constant - scaling.drugs.all_missing
    assert tables.target[split.train].mean().abs() < 1e-4
