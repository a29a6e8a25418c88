"""Scaling of drug-pair data: scikit-learn's, learned on the training rows' cell lines and drugs and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spikebayes.data.combo import ComboData, ComboScaling
from spikebayes.errors import DataError


def made_up(seed: int = 0) -> ComboData:
    """Six cell lines with 4 features, eight drugs with 5, 60 rows; a tenth of the features is missing."""
    rng = np.random.default_rng(seed)
    tables = [rng.normal(3.0, 2.0, shape).astype(np.float32) for shape in ((6, 4), (8, 5))]
    for table in tables:
        table[rng.random(table.shape) < 0.1] = np.nan
    index = np.column_stack([rng.integers(0, 6, 60), rng.integers(0, 8, (60, 2))])
    return ComboData(
        torch.from_numpy(tables[0]),
        torch.from_numpy(tables[1]),
        tuple("abcdef"),
        tuple("ABCDEFGH"),
        tuple("pqrs"),
        tuple("PQRST"),
        torch.from_numpy(index),
        torch.from_numpy(rng.normal(10.0, 4.0, (60, 1)).astype(np.float32)),
        "growth",
        {},
    )


def replaced(data: ComboData, **changed) -> ComboData:
    return ComboData(**{**vars(data), **changed})


@settings(max_examples=25)
@given(st.integers(0, 1000))
def test_scaling_is_scikit_learns_on_the_training_cells_and_drugs(seed: int) -> None:
    data = made_up(seed)
    rows = torch.arange(25)
    tables = ComboScaling.learn(data, rows).apply(data)
    for raw, scaled, used in (
        (data.cells, tables.cells, data.index[:25, 0]),
        (data.drugs, tables.drugs, data.index[:25, 1:].flatten()),
    ):
        pipeline = make_pipeline(SimpleImputer(), StandardScaler()).fit(raw[sorted(set(used.tolist()))].double())
        np.testing.assert_allclose(scaled, pipeline.transform(raw.double()), rtol=1e-4, atol=1e-5)
        assert scaled.dtype == torch.float32
    assert tables.target[:25].mean().item() == pytest.approx(0, abs=1e-5)
    assert tables.target[:25].std(correction=0).item() == pytest.approx(1, abs=1e-5)


def test_nothing_outside_training_is_looked_at() -> None:
    data = made_up()
    rows = (data.index[:, 0] < 4).logical_and(data.index[:, 1:].max(1).values < 6).nonzero()[:, 0]
    scaling = ComboScaling.learn(data, rows)
    cells, drugs, target = data.cells.clone(), data.drugs.clone(), data.target.clone()
    cells[4:], drugs[6:] = 1e6, torch.nan
    target[[row for row in range(60) if row not in rows.tolist()]] = -1e6
    other = ComboScaling.learn(replaced(data, cells=cells, drugs=drugs, target=target), rows)
    for one, two in ((scaling.cells, other.cells), (scaling.drugs, other.drugs)):
        assert torch.equal(one.mean, two.mean)
        assert torch.equal(one.std, two.std)
        assert torch.equal(one.fill, two.fill)
    assert (scaling.target_mean, scaling.target_std) == (other.target_mean, other.target_std)


def test_a_cell_line_counts_once_however_many_rows_it_is_in() -> None:
    data = made_up()
    rows = torch.arange(60)
    once = ComboScaling.learn(data, rows)
    often = ComboScaling.learn(data, torch.cat([rows, rows[data.index[:, 0] == 1].repeat(9)]))
    assert torch.equal(once.cells.mean, often.cells.mean)


def test_columns_without_news_are_dropped_and_counted() -> None:
    data = made_up()
    drugs = data.drugs.clone()
    drugs[:, 0] = torch.nan
    drugs[:, 1] = 7.0
    drugs[2, 1] = torch.nan  # filled with 7: still constant
    scaling = ComboScaling.learn(replaced(data, drugs=drugs), torch.arange(60))
    assert (scaling.drugs.all_missing, scaling.drugs.constant) == (1, 1)
    tables = scaling.apply(replaced(data, drugs=drugs))
    assert tables.drug_columns == ("R", "S", "T")
    assert tables.drugs.shape == (8, 3)
    assert tables.drugs.isfinite().all()


def test_held_out_values_are_not_clipped() -> None:
    data = made_up()
    rows = (data.index[:, 1:].max(1).values < 7).nonzero()[:, 0]
    drugs = data.drugs.clone()
    drugs[7] = 1e9
    tables = ComboScaling.learn(data, rows).apply(replaced(data, drugs=drugs))
    assert tables.drugs[7].min() > 1e7


def test_outputs_undo_what_targets_went_through() -> None:
    data = made_up()
    scaling = ComboScaling.learn(data, torch.arange(30))
    np.testing.assert_allclose(scaling.outputs(scaling.apply(data).target), data.target, rtol=1e-5)


def test_inputs_are_the_rows_features() -> None:
    data = made_up()
    tables = ComboScaling.learn(data, torch.arange(30)).apply(data)
    cell, one, two = tables.inputs(torch.tensor([5, 3]))
    assert torch.equal(cell[1], tables.cells[data.index[3, 0]])
    assert torch.equal(one[0], tables.drugs[data.index[5, 1]])
    assert torch.equal(two[0], tables.drugs[data.index[5, 2]])


def test_a_constant_target_keeps_its_unit() -> None:
    data = replaced(made_up(), target=torch.full((60, 1), 5.0))
    scaling = ComboScaling.learn(data, torch.arange(60))
    assert (scaling.target_mean, scaling.target_std) == (5.0, 1.0)


@pytest.mark.parametrize("rows", [[], [60], [-1, 3]])
def test_rows_that_the_data_lacks_are_refused(rows: list[int]) -> None:
    with pytest.raises(DataError, match="expected training rows in 0 to 59; got"):
        ComboScaling.learn(made_up(), torch.tensor(rows, dtype=torch.int64))


def test_training_on_one_cell_line_is_refused() -> None:
    data = made_up()
    rows = (data.index[:, 0] == 2).nonzero()[:, 0]
    with pytest.raises(DataError, match=r"no features of cell lines left to learn from 1 in training: of 4 columns"):
        ComboScaling.learn(data, rows)


def test_other_columns_are_refused() -> None:
    data = made_up()
    scaling = ComboScaling.learn(data, torch.arange(60))
    with pytest.raises(DataError, match="drugs: the scaling was learned on other columns"):
        scaling.apply(replaced(data, drug_columns=tuple("PQRSU")))


def test_what_float32_cannot_hold_is_refused() -> None:
    data = made_up()
    rows = (data.index[:, 1:].max(1).values < 7).nonzero()[:, 0]
    drugs = data.drugs.clone()
    drugs[:7, 0] = torch.arange(7.0) * 1e-9
    drugs[7, 0] = 3e38
    data = replaced(data, drugs=drugs)
    scaling = ComboScaling.learn(data, rows)
    with pytest.raises(DataError, match=r"1 scaled values exceed float32 \(first: 'P' of H\)"):
        scaling.apply(data)
