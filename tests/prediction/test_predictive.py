"""What is read from samples, against NumPy, SciPy and hand-computed values."""

from __future__ import annotations

import json
import math
import os
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.torch import load_file, save_file
from scipy import optimize, special, stats

from spikebayes.errors import ConfigError, DataError, StoreError
from spikebayes.evaluate import compare
from spikebayes.prediction.draw import Draw
from spikebayes.prediction.prediction_file import FORMAT, UNSEALED
from spikebayes.prediction.predictive import Predictive
from spikebayes.prediction.task import Task


def regression(samples: int = 9, rows: int = 4, outputs: int = 2, noise: bool = True) -> Predictive:
    values = torch.randn(samples, rows, outputs, generator=torch.Generator().manual_seed(1))
    noise_std = torch.linspace(0.3, 0.7, outputs) if noise else None
    return Predictive(values, Draw(3, "row", torch.arange(10, 10 + rows)), noise_std=noise_std)


def classes(probabilities: list[list[list[float]]]) -> Predictive:
    values = torch.tensor(probabilities)
    return Predictive(values, Draw(0, "row", torch.arange(values.shape[1])), Task.CLASSIFICATION)


# -- masks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (Draw(1, "row", torch.tensor([4, 5])), True),
        (Draw(2, "row", torch.tensor([4, 5])), False),
        (Draw(1, "pass", torch.tensor([4, 5])), False),
        (Draw(1, "row", torch.tensor([5, 4])), False),
        (Draw(1, "row", torch.tensor([4])), False),
    ],
)
def test_masks_are_the_same_for_one_seed_scope_and_rows(other: Draw, same: bool) -> None:
    assert Draw(1, "row", torch.tensor([4, 5])).same_masks(other) is same


# -- moments and quantiles -----------------------------------------------------------------------------------


def test_moments_are_numpys() -> None:
    p = regression()
    values = p.samples.double().numpy()
    np.testing.assert_allclose(p.mean, values.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(p.model_std, values.std(0, ddof=1), rtol=1e-5)
    expected = np.sqrt(values.var(0, ddof=1) + np.array([0.3, 0.7]) ** 2)
    np.testing.assert_allclose(p.std, expected, rtol=1e-5)
    assert torch.equal(regression(noise=False).std, p.model_std)  # where no noise is known


@settings(deadline=None)  # a busy machine is no failure
@given(
    hnp.arrays(np.float32, (5, 2, 1), elements=st.floats(-100, 100, width=32)),
    st.lists(st.floats(0, 1), min_size=1, max_size=4),
)
def test_quantiles_are_numpys(values: np.ndarray, levels: list[float]) -> None:
    p = Predictive(torch.from_numpy(values), Draw(0, "row", torch.arange(2)))
    np.testing.assert_allclose(p.model_quantile(levels), np.quantile(values, levels, axis=0), atol=1e-3)
    np.testing.assert_allclose(p.model_quantile(levels[0]), np.quantile(values, levels[0], axis=0), atol=1e-3)


@pytest.mark.parametrize("q", [[[0.1, 0.5]], np.array([[0.1]]), torch.tensor([[0.1, 0.5]]), 1.5, -0.1, float("nan")])
def test_levels_that_are_no_probabilities_are_refused(q: Any) -> None:
    with pytest.raises(ConfigError, match=r"must be a number or a list|must lie in"):
        Predictive(torch.rand(3, 2, 1), Draw(0, "row", torch.arange(2))).model_quantile(q)


@pytest.mark.parametrize("shape", [(3000, 2900, 1), (3000, 3, 1000)])
@pytest.mark.slow
def test_quantiles_of_many_samples_are_taken_in_parts(shape: tuple[int, int, int]) -> None:
    values = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    p = Predictive(values, Draw(0, "row", torch.arange(shape[1])))
    expected = np.quantile(values.numpy(), [0.1, 0.5], axis=0)
    np.testing.assert_allclose(p.model_quantile([0.1, 0.5]), expected, atol=1e-5)


def test_without_noise_an_interval_holds_the_central_share_of_samples() -> None:
    values = torch.arange(101.0).reshape(101, 1, 1)
    lower, upper = Predictive(values, Draw(0, "row", torch.arange(1))).interval(0.9)
    assert (lower.item(), upper.item()) == pytest.approx((5, 95), abs=1e-4)


# -- a new observation ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.5, 0.9, 0.999])
def test_an_interval_inverts_the_mixture(level: float) -> None:
    p = regression(samples=7)
    lower, upper = p.interval(level)
    for row in range(4):
        for output, noise in enumerate((0.3, 0.7)):
            centres = p.samples[:, row, output].double().numpy()

            def cdf(y: float, q: float, centres: np.ndarray = centres, noise: float = noise) -> float:
                return float(stats.norm.cdf(y, centres, noise).mean() - q)

            ends = [optimize.brentq(cdf, -20, 20, args=(q,), xtol=1e-12) for q in ((1 - level) / 2, (1 + level) / 2)]
            found = lower[row, output].item(), upper[row, output].item()
            np.testing.assert_allclose(found, ends, atol=2e-6)


def test_an_interval_of_equal_samples_is_the_normal_one() -> None:
    p = Predictive(torch.full((5, 1, 1), 2.0), Draw(0, "row", torch.arange(1)), noise_std=torch.tensor([0.5]))
    ends = [end.item() for end in p.interval(0.9)]
    np.testing.assert_allclose(ends, stats.norm.interval(0.9, 2, 0.5), atol=2e-6)


def row_noise() -> Predictive:
    values = torch.randn(9, 4, 2, generator=torch.Generator().manual_seed(1))
    noise = 0.2 + torch.rand(9, 4, 2, generator=torch.Generator().manual_seed(2))
    return Predictive(values, Draw(3, "row", torch.arange(4)), noise_samples=noise)


def test_noise_that_samples_tell_is_their_root_mean_square() -> None:
    p = row_noise()
    assert p.noise_std is not None
    assert p.noise_samples is not None
    np.testing.assert_allclose(p.noise_std, p.noise_samples.double().pow(2).mean(0).sqrt(), rtol=1e-6)
    # law of total variance: the variance of the mixture
    np.testing.assert_allclose(p.std**2, p.samples.var(0) + p.noise_samples.pow(2).mean(0), rtol=1e-5)
    with pytest.raises(DataError, match="noise_std follows from noise_samples"):
        replace(p, noise_std=torch.ones(2))
    with pytest.raises(DataError, match=r"noise_samples must be \[9, 4, 2\]"):
        replace(p, noise_std=None, noise_samples=torch.ones(4, 2))


@pytest.mark.parametrize("kind", ["samples", "rows"])
def test_noise_by_row_makes_the_mixture_of_its_rows(kind: str) -> None:
    p = row_noise()
    assert p.noise_samples is not None
    if kind == "rows":
        p = replace(p, noise_samples=None, noise_std=p.noise_samples[0])
    noise = np.broadcast_to(p.noise_samples if kind == "samples" else p.noise_std, (9, 4, 2)).astype(float)
    lower, upper = p.interval(0.8)
    for end, q in ((lower, 0.1), (upper, 0.9)):
        found = stats.norm.cdf(end.double().numpy(), p.samples.double().numpy(), noise).mean(0)
        np.testing.assert_allclose(found, q, atol=1e-5)
    target = torch.randn(4, 2, generator=torch.Generator().manual_seed(3))
    density = stats.norm.logpdf(target.double().numpy(), p.samples.double().numpy(), noise).sum(-1)
    expected = special.logsumexp(density, axis=0) - math.log(9)
    np.testing.assert_allclose(p.log_likelihood(target), expected, rtol=1e-10)


def test_log_likelihood_of_values_is_the_mixtures() -> None:
    p = regression()
    target = torch.tensor([[0.1, -0.2], [3.0, 0.0], [50.0, 50.0], [0.0, 0.0]])
    noise = p.noise_std.double().numpy()
    density = stats.norm.logpdf(target.double().numpy(), p.samples.double().numpy(), noise).sum(-1)
    expected = special.logsumexp(density, axis=0) - math.log(9)
    np.testing.assert_allclose(p.log_likelihood(target), expected, rtol=1e-10)


def test_log_likelihood_takes_a_flat_target_when_there_is_one_output() -> None:
    p = regression(outputs=1)
    target = torch.arange(4.0)
    torch.testing.assert_close(p.log_likelihood(target), p.log_likelihood(target[:, None]))


def test_log_likelihood_of_classes_averages_probabilities_and_has_a_floor() -> None:
    p = classes([[[0.5, 0.5], [1.0, 0.0]], [[0.25, 0.75], [1.0, 0.0]]])
    expected = [math.log(0.375), math.log(np.finfo(np.float32).tiny)]
    np.testing.assert_allclose(p.log_likelihood(torch.tensor([0, 1])), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (torch.zeros(2, 4), r"target must be \[4, 2\]; got \[2, 4\]"),
        (torch.full((4, 2), math.nan), "NaN"),
    ],
)
def test_a_target_that_does_not_fit_is_refused(target: torch.Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        regression().log_likelihood(target)


@pytest.mark.parametrize("target", [[0, 2], [-1, 0], [0, 0.5]])
def test_a_target_that_is_no_class_is_refused(target: list[float]) -> None:
    p = classes([[[0.5, 0.5], [1.0, 0.0]]])
    with pytest.raises(DataError, match=r"class indices must be whole, in 0\.\.1"):
        p.log_likelihood(torch.tensor(target))


# -- class probabilities -------------------------------------------------------------------------------------


def test_entropies_by_hand() -> None:
    # row 0: two certain samples that contradict one another; row 1: two samples that agree on not knowing
    p = classes([[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]]])
    log2 = math.log(2)
    np.testing.assert_allclose(p.entropy, [log2, log2], rtol=1e-6)
    np.testing.assert_allclose(p.expected_entropy, [0, log2], rtol=1e-6)
    np.testing.assert_allclose(p.mutual_information, [log2, 0], rtol=1e-6, atol=1e-7)


@settings(deadline=None)  # a busy machine is no failure
@given(hnp.arrays(np.float32, (4, 3, 5), elements=st.floats(0, 8, width=32)))
@pytest.mark.slow
def test_mutual_information_is_the_mean_divergence_from_the_mean(logits: np.ndarray) -> None:
    probabilities = torch.softmax(torch.from_numpy(logits), -1)
    p = Predictive(probabilities, Draw(0, "row", torch.arange(3)), Task.CLASSIFICATION)
    values = probabilities.double().numpy()
    divergence = special.rel_entr(values, values.mean(0)).sum(-1).mean(0)
    np.testing.assert_allclose(p.mutual_information, divergence, atol=1e-5)


# -- tables --------------------------------------------------------------------------------------------------


def test_samples_that_hardly_disagree_say_how_little() -> None:
    rng = torch.Generator().manual_seed(5)
    same = torch.randn(200, 5, generator=rng)
    p = (same + 1e-3 * torch.randn(50, 200, 5, generator=rng)).softmax(-1)
    exact = p.double() / p.double().sum(-1, keepdim=True)
    expected = torch.special.entr(exact.mean(0)).sum(-1) - torch.special.entr(exact).sum(-1).mean(0)
    draw = Draw(0, "row", torch.arange(200))
    told = Predictive(p, draw, Task.CLASSIFICATION).mutual_information
    np.testing.assert_allclose(told, expected, rtol=0.02)  # about 3e-7, of entropies of 1
    agreed = Predictive(same.softmax(-1).expand(37, 200, 5), draw, Task.CLASSIFICATION)
    assert agreed.mutual_information.max() < 1e-14


def test_quantiles_that_lie_close_have_columns_of_their_own() -> None:
    quantiles = (0.1234567, 0.12345671, 0.3, 0.99999996)
    table = regression(outputs=1).to_pandas(quantiles=quantiles)
    assert list(table.columns[-4:]) == ["q0.1234567", "q0.12345671", "q0.3", "q0.99999996"]


def test_a_table_of_one_output_has_plain_columns() -> None:
    p = regression(outputs=1)
    table = p.to_pandas(quantiles=(0.25,), coverage=0.8)
    assert list(table.columns) == ["mean", "model_std", "noise_std", "std", "lower", "upper", "q0.25"]
    assert table.index.tolist() == [10, 11, 12, 13]
    np.testing.assert_allclose(table["std"] ** 2, table["model_std"] ** 2 + table["noise_std"] ** 2, rtol=1e-5)
    np.testing.assert_array_equal(table["q0.25"], p.quantile(0.25)[:, 0])
    np.testing.assert_array_equal(table["upper"], p.quantile(0.9)[:, 0])
    assert "q0.5" not in p.to_pandas()


def test_a_table_of_several_outputs_has_their_names_before_each_column() -> None:
    table = regression(noise=False).to_pandas()
    assert list(table)[:2] == ["y0.mean", "y0.model_std"]
    assert "y1.upper" in table
    assert table["y0.noise_std"].isna().all()
    np.testing.assert_array_equal(table["y1.std"], table["y1.model_std"])


def test_a_single_sample_has_no_spread_in_a_table() -> None:
    table = regression(samples=1, outputs=1).to_pandas((0.1,))
    assert table["mean"].notna().all()
    assert table[["model_std", "std", "lower", "upper", "q0.1"]].isna().all().all()


def test_a_table_of_classes_names_the_most_probable_and_the_set() -> None:
    values = torch.tensor([[[0.96, 0.04], [0.2, 0.8]], [[0.96, 0.04], [0.4, 0.6]]])
    p = Predictive(values, Draw(0, "row", torch.arange(2)), Task.CLASSIFICATION, names=("cat", "dog"))
    table = p.to_pandas()
    assert list(table) == ["class", "p_cat", "p_dog", "entropy", "mutual_information", "set"]
    assert table["class"].tolist() == ["cat", "dog"]
    assert table["set"].tolist() == ["cat", "cat|dog"]
    np.testing.assert_allclose(table["p_dog"], [0.04, 0.7], rtol=1e-6)


def test_a_set_of_labels_that_hold_its_separator_can_be_told_from_others() -> None:
    values = torch.full((2, 1, 3), 1 / 3)
    p = Predictive(values, Draw(0, "row", torch.arange(1)), Task.CLASSIFICATION, names=("a", "b|c", "d\\"))
    (told,) = p.to_pandas()["set"]
    assert told == r"a|b\|c|d\\"
    assert [re.sub(r"\\(.)", r"\1", each) for each in re.findall(r"(?:\\.|[^|\\])+", told)] == list(p.names)


# -- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.zeros(3, 2), r"must be \[S, B, C\]"),
        (torch.zeros(3, 0, 1), "none of them 0"),
        (torch.tensor([[[1.0], [math.nan]], [[math.inf], [0.0]]]), "on 2 of 2 rows"),
        (torch.zeros(3, 3, 1), "3 rows of samples, 2 row indices"),
    ],
)
def test_samples_that_cannot_be_used_are_refused(values: torch.Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Predictive(values, Draw(0, "row", torch.arange(2)))


@pytest.mark.parametrize("noise", [[0.0], [-1.0], [math.nan], [0.1, 0.2], [[0.1], [0.0]], [[0.1]]])
def test_a_noise_that_is_no_standard_deviation_is_refused(noise: list[float]) -> None:
    with pytest.raises(DataError, match=r"noise_std must be \[1\] or \[2, 1\]"):
        Predictive(torch.zeros(3, 2, 1), Draw(0, "row", torch.arange(2)), noise_std=torch.tensor(noise))


def test_too_many_names_are_refused() -> None:
    with pytest.raises(DataError, match="1 outputs, 2 names: a, b"):
        Predictive(torch.zeros(3, 2, 1), Draw(0, "row", torch.arange(2)), names=("a", "b"))


def test_two_outputs_of_one_name_are_refused_since_a_table_would_lose_one() -> None:
    with pytest.raises(DataError, match="names must differ from one another"):
        Predictive(torch.zeros(3, 2, 2), Draw(0, "row", torch.arange(2)), names=("a", "a"))


def test_classes_have_no_noise() -> None:
    with pytest.raises(DataError, match="noise_std is for values, and class probabilities have none: leave it out"):
        replace(classes([[[0.5, 0.5]]]), noise_std=torch.ones(2))


def test_a_target_whose_values_are_masked_is_refused_and_one_that_is_laid_out_otherwise_is_read() -> None:
    p, target = regression(), np.linspace(0, 1, regression().mean.numel()).reshape(tuple(regression().mean.shape))
    with pytest.raises(DataError, match=r"1 of .* values of a masked array are masked.*leave their rows out"):
        p.observed(np.ma.masked_equal(target, 0))
    for other in (np.ma.masked_equal(target, -1), target[::-1].copy()[::-1], target.astype(">f8")):
        assert torch.equal(p.observed(other), p.observed(target))


@pytest.mark.parametrize("row", [[0.5, 0.6], [-0.5, 1.5]])
def test_logits_in_place_of_probabilities_are_refused(row: list[float]) -> None:
    with pytest.raises(DataError, match="class probabilities"):
        classes([[row]])


@pytest.mark.parametrize("level", [0.0, 1.0, math.nan])
def test_an_interval_of_nothing_or_everything_is_refused(level: float) -> None:
    with pytest.raises(ConfigError, match=r"must lie in \(0, 1\)"):
        regression().interval(level)


def test_what_the_samples_cannot_answer_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 2 samples"):
        _ = regression(samples=1).std
    with pytest.raises(ConfigError, match="at least 2 samples"):
        _ = regression(samples=1).model_std
    for ask in (Predictive.interval, lambda p: p.lower, lambda p: p.quantile(0.9), lambda p: p.model_quantile(0.9)):
        with pytest.raises(ConfigError, match="at least 2 samples"):
            ask(regression(samples=1, noise=False))
    with pytest.raises(ConfigError, match="this prediction is a regression"):
        _ = regression().entropy
    with pytest.raises(ConfigError, match=r"an interval of a new observation is for regression; sets\(\)"):
        classes([[[0.5, 0.5]]]).interval(0.9)
    with pytest.raises(ConfigError, match="quantiles are for values"):
        classes([[[0.5, 0.5]]]).to_pandas(quantiles=(0.5,))
    with pytest.raises(ConfigError, match="a set of classes is for class probabilities"):
        regression().sets()
    with pytest.raises(ConfigError, match="no noise is known"):
        _ = regression(noise=False).mutual_information
    with pytest.raises(ConfigError, match=r"quantiles must lie in \[0, 1\]"):
        regression().model_quantile([0.5, 1.5])
    with pytest.raises(ConfigError, match=r"must lie in \(0, 1\)"):
        regression().quantile([0.5, 1.0])


# -- files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [True, False])
def test_a_saved_prediction_comes_back(tmp_path: Path, noise: bool) -> None:
    p = regression(noise=noise)
    p = Predictive(p.samples, p.draw, p.task, p.noise_std, ("a", "b"), {"steps": 300, "engine": "cpu"})
    p.save(tmp_path / "p.safetensors")
    q = Predictive.load(tmp_path / "p.safetensors")
    assert torch.equal(q.samples, p.samples)
    assert q.draw.same_masks(p.draw)
    assert (q.task, q.names, q.settings) == (p.task, p.names, p.settings)
    assert (q.noise_std is None) is (p.noise_std is None)
    assert p.noise_std is None or torch.equal(p.noise_std, q.noise_std)


def test_noise_by_row_and_a_calibration_are_saved_too(tmp_path: Path) -> None:
    p = row_noise()
    p = replace(p, conformal=p.calibrate(torch.zeros(4, 2)))
    p.save(tmp_path / "p")
    q = Predictive.load(tmp_path / "p")
    assert torch.equal(q.noise_samples, p.noise_samples)
    assert torch.equal(q.noise_std, p.noise_std)
    assert all(torch.equal(one, other) for one, other in zip(q.interval(0.5), p.interval(0.5), strict=True))


def test_a_view_of_a_larger_tensor_is_saved_as_it_reads(tmp_path: Path) -> None:
    values = torch.rand(6, 5, 2).permute(1, 0, 2)[1:4]
    Predictive(values, Draw(0, "pass", torch.arange(6))).save(tmp_path / "p")
    assert torch.equal(Predictive.load(tmp_path / "p").samples, values)


def test_settings_that_are_no_json_leave_no_file(tmp_path: Path) -> None:
    p = Predictive(torch.zeros(2, 1, 1), Draw(0, "row", torch.arange(1)), settings={"synapse": object()})
    with pytest.raises(TypeError):
        p.save(tmp_path / "p")
    assert os.listdir(tmp_path) == []


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def replaced_by_text(path: Path) -> None:
    path.write_text("row,mean,std\n" * 20)


def removed(path: Path) -> None:
    path.unlink()


def replaced_by_weights(path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, path)


def with_rows_missing(path: Path) -> None:
    tensors = load_file(path)
    header = {"seed": 0, "scope": "row", "task": "regression", "names": ["a", "b"], "settings": {}}
    tensors["rows"] = tensors["rows"][:1]
    save_file(tensors, path, metadata={"format": FORMAT, "predictive": json.dumps(header)})


def with_a_header_that_is_a_list(path: Path) -> None:
    save_file(load_file(path), path, metadata={"format": FORMAT, "predictive": "[]"})


@pytest.mark.parametrize(
    "damage",
    [
        torn,
        emptied,
        replaced_by_text,
        removed,
        replaced_by_weights,
        with_rows_missing,
        with_a_header_that_is_a_list,
    ],
)
def test_a_file_that_is_no_whole_prediction_is_refused_by_name(tmp_path: Path, damage) -> None:
    path = tmp_path / "p.safetensors"
    regression().save(path)
    damage(path)
    with pytest.raises(StoreError, match=r"p\.safetensors"):
        Predictive.load(path)


def test_no_bit_of_a_file_can_be_changed(tmp_path: Path) -> None:
    path = tmp_path / "p.safetensors"
    p = regression()
    p.save(path)
    content = path.read_bytes()
    for position in range(8, len(content), 7):
        flipped = bytearray(content)
        flipped[position] ^= 0x04
        path.write_bytes(flipped)
        with suppress(StoreError):  # where it is none, it was of the spaces that fill up the header
            found = Predictive.load(path)
            assert torch.equal(found.samples, p.samples)
            assert repr(found) == repr(p)


def test_a_changed_sample_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.safetensors"
    regression().save(path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 0x01  # the last tensor's
    path.write_bytes(content)
    with pytest.raises(StoreError, match="its checksum does not fit"):
        Predictive.load(path)


def unsealed(path: Path, **changes: object) -> None:
    """A prediction as files were before they had a checksum."""
    p = regression()
    assert p.noise_std is not None
    tensors = {"samples": p.samples.contiguous(), "rows": p.draw.rows, "noise_std": p.noise_std}
    header = {"seed": 3, "scope": "row", "task": "regression", "names": ["a", "b"], "settings": {}} | changes
    save_file(tensors, path, metadata={"format": UNSEALED, "predictive": json.dumps(header)})


def test_a_file_from_before_there_was_a_checksum_is_read(tmp_path: Path) -> None:
    unsealed(tmp_path / "p")
    found = Predictive.load(tmp_path / "p")
    assert torch.equal(found.samples, regression().samples)
    assert (found.draw.seed, found.names, found.task) == (3, ("a", "b"), Task.REGRESSION)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seed": "3"}, "'seed' of Draw must be a whole number; got '3'"),
        ({"scope": None}, "'scope' of Draw must be text; got None"),
        ({"names": "ab"}, "'names' of Predictive must be a list"),
        ({"names": ["a", 2]}, "'names' of Predictive must be a list"),
        ({"task": "ranking"}, "'task' of Predictive must be a Task; got 'ranking'"),
        ({"settings": []}, r"'settings' of Predictive must be a mapping; got \[\]"),
    ],
)
def test_fields_of_other_types_are_refused(tmp_path: Path, changes: dict[str, object], says: str) -> None:
    unsealed(tmp_path / "p", **changes)
    with pytest.raises(StoreError, match=says):
        Predictive.load(tmp_path / "p")


def test_the_table_of_many_classes_takes_time_in_proportion() -> None:
    """Moments are taken once for all classes, not once for each."""
    p = Predictive(torch.full((3, 4, 300), 1 / 300), Draw(0, "row", torch.arange(4)), Task.CLASSIFICATION)
    calls = 0

    class Counted(Predictive):
        @property
        def mean(self) -> torch.Tensor:
            nonlocal calls
            calls += 1
            return super().mean

        @property
        def entropy(self) -> torch.Tensor:
            nonlocal calls
            calls += 1
            return super().entropy

    frame = Counted(p.samples, p.draw, p.task).to_pandas()
    assert frame.shape == (4, 4 + 300)
    assert calls < 10


@pytest.mark.parametrize("calibrated", [False, True])
@pytest.mark.parametrize("noise", [False, True])
def test_no_quantiles_at_all_are_refused(noise: bool, calibrated: bool) -> None:
    made = regression(rows=12, noise=noise)
    if calibrated:
        made = replace(made, conformal=made.calibrate(torch.randn(12, 2)))
    for ask in (made.quantile, made.predicted_quantile, made.model_quantile):
        with pytest.raises(ConfigError, match="give a probability"):
            ask(())


def test_samples_of_few_bits_become_float32_and_whole_numbers_are_refused() -> None:
    draw = Draw(0, "row", torch.arange(3))
    for dtype in (torch.float16, torch.bfloat16):
        found = Predictive(torch.ones(4, 3, 1, dtype=dtype), draw)
        assert found.samples.dtype == torch.float32
        assert found.model_quantile(0.5).dtype == torch.float32
    for dtype in (torch.int64, torch.bool, torch.complex64):
        with pytest.raises(DataError, match="samples must be float32 or float64"):
            Predictive(torch.ones(4, 3, 1, dtype=dtype), draw)


def test_samples_of_a_graph_are_kept_without_it() -> None:
    """As of passes that were made without ``torch.no_grad``."""
    made, draw = torch.randn(4, 3, 1, requires_grad=True), Draw(0, "row", torch.arange(3))
    for noise in ({"noise_std": made[0].exp()}, {"noise_samples": made.exp()}):
        p = Predictive(2 * made, draw, **noise)  # pyright: ignore[reportArgumentType]
        assert len(p.to_pandas()) == 3  # NumPy takes no tensors of a graph
        assert compare(p, p).paired_rmse is not None


@pytest.mark.parametrize("unit", [1e-25, 1e25])
def test_spreads_hold_in_any_unit(unit: float) -> None:
    """Whose squares are no float32: they were 0, or infinite."""
    by_row, p, draw = row_noise(), regression(), Draw(3, "row", torch.arange(4))
    assert by_row.noise_samples is not None
    assert p.noise_std is not None
    scaled = Predictive(unit * by_row.samples, draw, noise_samples=unit * by_row.noise_samples)
    np.testing.assert_allclose(scaled.noise_std / unit, by_row.noise_std, rtol=1e-5)
    np.testing.assert_allclose(scaled.std / unit, by_row.std, rtol=1e-5)
    np.testing.assert_allclose(scaled.mutual_information, by_row.mutual_information, rtol=1e-5)
    scaled = Predictive(unit * p.samples, draw, noise_std=unit * p.noise_std)
    np.testing.assert_allclose(scaled.std / unit, p.std, rtol=1e-5)


def test_a_draw_says_how_masks_were_shared() -> None:
    with pytest.raises(ConfigError, match="scope"):
        Draw(0, "rows", torch.arange(3))
    with pytest.raises(DataError, match=r"rows must be \[B\]"):
        Draw(0, "row", torch.zeros(1, 3, dtype=torch.int64))
