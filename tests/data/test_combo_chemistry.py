"""Drug features: RDKit's numbers, named, the same however a structure is spelt; no infinity and no noise."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import Descriptors, rdMolDescriptors

from spikebayes.data.combo.chemistry import describe
from spikebayes.errors import ConfigError, DataError

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
CISPLATIN = "N.N.[Cl-].[Cl-].[Pt+2]"  # BCUT descriptors have no value for platinum


def test_descriptors_are_rdkits_own() -> None:
    values, columns = describe({"aspirin": ASPIRIN}, fingerprint_bits=0)
    molecule = Chem.MolFromSmiles(ASPIRIN)
    row = dict(zip(columns, values[0], strict=True))
    assert set(columns) == {name for name, _ in Descriptors.descList}
    assert row["MolWt"] == pytest.approx(180.16, abs=0.01)
    assert row["TPSA"] == pytest.approx(rdMolDescriptors.CalcTPSA(molecule))
    assert row["NumAromaticRings"] == 1
    assert values.dtype == np.float32


def test_a_structure_has_one_row_however_it_is_spelt() -> None:
    other = Chem.MolToSmiles(Chem.MolFromSmiles(ASPIRIN), rootedAtAtom=7, canonical=False)
    assert other != ASPIRIN
    values, columns = describe({"one": ASPIRIN, "other": other, "ethanol": "CCO"}, fingerprint_bits=256)
    bits = values[:, [name.startswith("morgan2.") for name in columns]]
    assert bits.shape == (3, 256)
    assert set(np.unique(bits)) == {0.0, 1.0}
    np.testing.assert_allclose(values[0], values[1], rtol=1e-5)
    assert (bits[0] != bits[2]).any()


def test_what_rdkit_cannot_tell_is_nan() -> None:
    values, columns = describe({"cisplatin": CISPLATIN, "aspirin": ASPIRIN}, fingerprint_bits=0)
    assert np.isnan(values[:, columns.index("BCUT2D_MWHI")]).tolist() == [True, False]


def test_what_float32_cannot_hold_is_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"Ipc": 1e39, "low": -1e39, "inf": np.inf, "largest": float(np.finfo(np.float32).max)}
    monkeypatch.setattr(Descriptors, "CalcMolDescriptors", lambda molecule, missingVal: found)
    values, columns = describe({"aspirin": ASPIRIN}, fingerprint_bits=4)
    assert columns == ("Ipc", "low", "inf", "largest", "morgan2.0", "morgan2.1", "morgan2.2", "morgan2.3")
    assert np.isnan(values[0]).tolist() == [True, True, True, False, False, False, False, False]


def test_unreadable_structures_are_named_and_rdkit_keeps_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    bad = {"NSC.1": "C1CC", "NSC.2": "CCO", "NSC.3": "C(C)(C)(C)(C)C"}
    with pytest.raises(DataError, match=r"2 of 3 SMILES cannot be read: NSC.1 \('C1CC'\), NSC.3 \('C\(C\)"):
        describe(bad)
    assert capfd.readouterr() == ("", "")
    assert Chem.MolFromSmiles("C1CC") is None
    assert "unclosed ring" in capfd.readouterr().err  # outside the call RDKit writes as before


def test_a_negative_number_of_bits_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 bits or more; got -1"):
        describe({"water": "O"}, fingerprint_bits=-1)


def test_without_rdkit_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rdkit", None)
    with pytest.raises(ConfigError, match=r"pip install 'spikebayes\[chem\]'"):
        describe({"water": "O"})
