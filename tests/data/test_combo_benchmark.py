"""The original Combo files: mean over replicates, least over doses, every other measurement counted."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from spikebayes.data.combo import load_benchmark
from spikebayes.errors import DataError

GROWTH = "ComboDrugGrowth_Nov2017.csv"
GENES = "combined_rnaseq_data_lincs1000"
DRUGS = "pan_drugs_dragon7_descriptors.tsv"

HEADER = "COMBODRUGSEQ,NSC1,CONC1,NSC2,CONC2,PERCENTGROWTH,VALID,CELLNAME,SCORE\n"
MEASUREMENTS = [
    "1,740,1e-6,752,1e-5,40,Y,A549/ATCC,5",
    "2,740,0.000001,752,1.0E-5,60,Y,A549/ATCC,5",  # a replicate: the same doses, spelt otherwise
    "3,740,1e-7,752,1e-5,51,Y,A549/ATCC,5",
    "4,740,1e-8,752,1e-5,-90,N,A549/ATCC,5",
    "5,740,1e-6,752,1e-5,-30,Y,HL-60(TB),5",
    "6,752,1e-6,740,1e-5,20,Y,A549/ATCC,5",  # the other order: another screen
    "7,740,1e-6,,,10,Y,A549/ATCC,",
    "8,740,1e-7,,,30,Y,A549/ATCC,",
    "9,740,1e-6,752,1e-5,na,Y,A549/ATCC,5",
    "10,740,1e-6,999,1e-5,7,Y,A549/ATCC,5",
    "11,740,1e-6,752,1e-5,7,Y,MDA-N,5",
    "12,740,,752,1e-5,7,Y,A549/ATCC,5",
]
FILES = {
    GROWTH: HEADER + "\n".join(MEASUREMENTS) + "\n",
    GENES: "Sample\tAARS\tABCB6\nCCLE.A549\t9\t9\nNCI60.HL-60\t3\t4\nNCI60.A549\t1\t\nNCI60.SR\t5\t6\n",
    DRUGS: "NAME\tMW\tAMW\tSv\nGDSC.1\t9\t9\t9\nNSC.752\t1\tna\t-\nNSC.740\t2\t3\tna\nNSC.8\t7\t7\t7\n",
}


def made_up(folder: Path, packed: bool = False, **changed: str | bytes) -> Path:
    """The small files above; ``changed`` replaces contents: growth, genes, drugs."""
    for key, name in {"growth": GROWTH, "genes": GENES, "drugs": DRUGS}.items():
        content = changed.get(key, FILES[name])
        raw = content.encode() if isinstance(content, str) else content
        (folder / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(raw) if packed else raw)
    return folder


@pytest.mark.parametrize("packed", [False, True])
def test_growth_is_the_least_over_doses_of_the_mean_over_replicates(tmp_path: Path, packed: bool) -> None:
    data = load_benchmark(made_up(tmp_path, packed))
    assert (data.cell_names, data.drug_names) == (("HL-60", "A549"), ("NSC.752", "NSC.740"))
    assert data.index.tolist() == [[0, 1, 0], [1, 0, 1], [1, 1, 0]]
    assert data.target[:, 0].tolist() == pytest.approx([-0.3, 0.2, 0.5])
    assert data.target_name == "growth fraction"
    assert (data.cell_columns, data.drug_columns) == (("AARS", "ABCB6"), ("MW", "AMW", "Sv"))
    assert data.cells.nan_to_num(nan=-9).tolist() == [[3, 4], [1, -9]]
    assert data.drugs.nan_to_num(nan=-9).tolist() == [[1, -9, -9], [2, 3, -9]]
    assert data.unused == {
        "measurement not marked valid": 1,
        "missing growth": 1,
        "single drug": 2,
        "missing concentration": 1,
        "drug without descriptors": 1,
        "cell line without expression": 1,
    }


def test_a_single_drug_can_be_a_pair_with_itself(tmp_path: Path) -> None:
    data = load_benchmark(made_up(tmp_path), single_drugs=True)
    assert data.index.tolist() == [[0, 1, 0], [1, 0, 1], [1, 1, 0], [1, 1, 1]]
    assert data.target[:, 0].tolist() == pytest.approx([-0.3, 0.2, 0.5, 0.1])
    assert data.unused["single drug"] == 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"growth": ""}, f"{GROWTH}: the file is empty"),
        ({"growth": HEADER}, "it has 9 columns and no rows"),
        ({"growth": "NSC1,NSC2,CELLNAME,CONC1,CONC2,PERCENTGROWTH\n1,2,SR,1,1,1\n"}, "no column 'VALID'"),
        ({"growth": HEADER + "1,740,1e-6,752,1e-5,high,Y,SR,5\n"}, "1 values are not numbers: 'high'"),
        ({"growth": HEADER + "1,740,1e-6,752,1e-5,inf,Y,SR,5\n"}, "1 values are infinite"),
        ({"growth": HEADER + "1,,1e-6,752,1e-5,1,Y,SR,5\n"}, "1 of 1 rows have no NSC1"),
        ({"growth": HEADER + "1,740,1e-6,x,1e-5,1,Y,SR,5\n"}, "1 of 1 values of NSC2 are not NSC numbers: 'x'"),
        ({"growth": HEADER + "1,740,1e-6,752,1e-5,1,Y,,5\n"}, "1 of 1 rows have no CELLNAME"),
        ({"growth": b"NSC1,\xe9\n740,1\n"}, "it is not in UTF-8"),
        (
            {"growth": HEADER + "1,740,1,9,1,1,Y,SR,5\n1,740,1,752,1,1,,SR,5\n"},
            "none of the 2 .*valid 1.*descriptors 1",
        ),
        ({"genes": "Cell\tAARS\nNCI60.SR\t1\n"}, "no column 'Sample'"),
        ({"genes": "Sample\tAARS\nCCLE.SR\t1\n"}, r"none of the 1 cell lines is named NCI60\.\.\."),
        ({"genes": "Sample\tAARS\nNCI60.SR\t1\nNCI60.S-R\t1\n"}, "1 of 1 cell lines occur more than once: SR"),
        ({"genes": "Sample\tAARS\nNCI60.SR\tlow\n"}, "1 values are not numbers: 'low' in column 'AARS', row 1"),
        ({"genes": b"Sample\tAARS\nNCI60.\xe9\t1\n"}, "it is not in UTF-8"),
        ({"drugs": "NSC\tMW\nNSC.740\t1\n"}, "no column 'NAME'"),
        ({"drugs": "NAME\tMW\nNSC.740\t1\nNSC.740\t2\n"}, "1 of 1 drugs occur more than once: NSC.740"),
        ({"drugs": "NAME\tMW\nNSC.x\t1\n"}, "1 of 1 values of NAME are not NSC numbers: 'x'"),
        ({"drugs": "NAME\tMW\tMW\nNSC.740\t1\t2\n"}, "column names must differ; repeated: 'MW'"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, changed: dict[str, str | bytes], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load_benchmark(made_up(tmp_path, **changed))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [GROWTH, GENES, DRUGS])
def test_a_missing_or_torn_file_is_named(tmp_path: Path, name: str) -> None:
    path = made_up(tmp_path, packed=True) / f"{name}.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=f"{name}.gz: torn"):
        load_benchmark(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match=f"no {name} or {name}.gz in {tmp_path}"):
        load_benchmark(tmp_path)
