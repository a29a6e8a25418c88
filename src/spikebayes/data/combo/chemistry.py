"""Drugs as numbers: RDKit's two-dimensional descriptors and Morgan fingerprints of their structures.

References: RDKit, rdkit.Chem.Descriptors; Rogers and Hahn, Extended-Connectivity Fingerprints, J. Chem. Inf. Model.
50:742, 2010 (a Morgan fingerprint of radius 2 is an ECFP4).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spikebayes.data.columns import listed, one_line
from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.extras import needed
from spikebayes.machine.progress import track

RADIUS = 2  # bonds around an atom that a bit of the fingerprint tells apart


def describe(
    smiles: Mapping[str, str], *, fingerprint_bits: int = 1024, progress: bool = False
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Descriptors and fingerprint bits of structures.

    Args:
        smiles: D >= 1 structures by name.
        fingerprint_bits: length of the fingerprint; 0 leaves it out.
        progress: show a bar on standard error.

    Returns:
        ``[D, F]`` float32, NaN where RDKit has no value or one that is infinite or beyond float32;
        the columns: RDKit's descriptor names, then ``morgan2.0`` and so on (bits, 0 or 1).

    Raises:
        ConfigError: RDKit is not installed.
        ConfigError: a negative number of bits.
        DataError: a structure that RDKit cannot read.

    Example:
        >>> values, columns = describe({"water": "O", "ethanol": "CCO"}, fingerprint_bits=8)
        >>> [round(float(mass), 1) for mass in values[:, columns.index("MolWt")]], columns[-1]
        ([18.0, 46.1], 'morgan2.7')
    """
    if fingerprint_bits < 0:
        raise ConfigError(f"a fingerprint has 0 bits or more; got {fingerprint_bits}")
    base, chem, descriptors, fingerprints = _rdkit()
    rows: list[np.ndarray] = []
    names: list[str] = []
    with base.BlockLogs():  # RDKit writes to standard error; only here is it kept from it
        molecules = {name: chem.MolFromSmiles(text) for name, text in smiles.items()}
        bad = [f"{name} ({one_line(repr(smiles[name]))})" for name, molecule in molecules.items() if molecule is None]
        if bad:
            raise DataError(f"{len(bad)} of {len(smiles)} SMILES cannot be read: {listed(bad)}")
        bits = fingerprints.GetMorganGenerator(radius=RADIUS, fpSize=fingerprint_bits) if fingerprint_bits else None
        for molecule in track(list(molecules.values()), "descriptors", progress):
            found = descriptors.CalcMolDescriptors(molecule, missingVal=np.nan)
            names = list(found)
            set_bits = bits.GetFingerprintAsNumPy(molecule) if bits else np.zeros(0)
            rows.append(np.concatenate([np.array(list(found.values()), np.float64), set_bits]))
    values = np.stack(rows)  # [D, F]
    values[~(np.abs(values) <= np.finfo(np.float32).max)] = np.nan
    return values.astype(np.float32), (*names, *(f"morgan{RADIUS}.{bit}" for bit in range(fingerprint_bits)))


def _rdkit() -> tuple[Any, Any, Any, Any]:
    what, chem = "a drug's features", "rdkit.Chem"
    needed("rdkit", what)
    parts = ("rdkit.rdBase", chem, f"{chem}.Descriptors", f"{chem}.rdFingerprintGenerator")
    base, molecules, descriptors, fingerprints = (needed(part, what) for part in parts)
    return base, molecules, descriptors, fingerprints
