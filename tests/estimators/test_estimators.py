"""Estimators: scikit-learn's own checks, and what is promised beyond them."""

from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_wine
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from spikebayes.errors import ConfigError, DataError
from spikebayes.sklearn import SpikingClassifier, SpikingRegressor

SMALL: dict[str, Any] = {"hidden": (50,), "epochs": 20, "samples": 20}
LONGER: dict[str, Any] = {**SMALL, "epochs": 60}
NOT_HERE = {"check_array_api_input"}  # it asks for an environment variable
# which rows are held out, and what batches hold, is drawn row by row: a row twice is not one of twice the weight
NOT_TWICE = {"check_sample_weight_equivalence_on_dense_data": "a row twice may be learned and held out"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of few rows, which the checks have
@pytest.mark.parametrize(("estimator", "epochs"), [(SpikingRegressor, 12), (SpikingClassifier, 8)])
def test_scikit_learns_checks(estimator: Any, epochs: int) -> None:
    made = estimator(hidden=(50,), epochs=epochs, samples=10)
    found = check_estimator(made, on_fail=None, on_skip=None, expected_failed_checks=NOT_TWICE)
    failed = {f["check_name"]: str(f["exception"]) for f in found if f["status"] not in ("passed", "skipped")}
    assert failed.keys() - NOT_TWICE.keys() == set(), failed
    assert {f["check_name"] for f in found if f["status"] == "skipped"} <= NOT_HERE


@pytest.fixture(scope="module")
def patients() -> tuple[Any, Any]:
    return load_diabetes(return_X_y=True)  # pyright: ignore[reportReturnType]


@pytest.fixture(scope="module")
def regressor(patients: tuple[Any, Any]) -> SpikingRegressor:
    x, y = patients
    return SpikingRegressor(**LONGER, random_state=0).fit(x, y)


def test_a_regressor_says_how_sure_it_is(regressor: SpikingRegressor, patients: tuple[Any, Any]) -> None:
    x, y = patients
    mean, std = regressor.predict(x, return_std=True)
    assert regressor.score(x, y) > 0.4
    lower, upper = regressor.predict_interval(x).T
    assert 0.8 < ((lower <= y) & (y <= upper)).mean() <= 1
    narrow = regressor.predict_interval(x, coverage=0.5)
    assert (narrow[:, 1] - narrow[:, 0] < upper - lower).all()
    low, middle, high = regressor.predict_quantiles(x, [0.1, 0.5, 0.9]).T
    assert (low < middle).all()
    assert (middle < high).all()
    samples = regressor.sample(x)
    assert samples.shape == (20, len(x))
    assert samples.mean(0) == pytest.approx(mean, rel=1e-5)
    assert (std > samples.std(0)).all()


def test_a_row_gets_the_same_whatever_its_company(regressor: SpikingRegressor, patients: tuple[Any, Any]) -> None:
    x, _ = patients
    alone = np.concatenate([regressor.predict(x[i : i + 1]) for i in range(5)])
    assert np.array_equal(alone, regressor.predict(x)[:5])
    again = pickle.loads(pickle.dumps(regressor))
    assert np.array_equal(again.predict(x), regressor.predict(x))


def test_several_targets(patients: tuple[Any, Any]) -> None:
    x, y = patients
    both = np.stack([y, -y], 1)
    made = SpikingRegressor(**SMALL, random_state=0).fit(x, both)
    assert made.predict(x).shape == (len(x), 2)
    assert made.predict_interval(x).shape == (len(x), 2, 2)
    assert made.predict_quantiles(x, (0.1, 0.5, 0.9)).shape == (len(x), 3, 2)


@pytest.mark.parametrize("code", ["lif", "auto"])
def test_a_classifier_has_probabilities_and_sets(code: Any) -> None:
    x, labels = load_wine(return_X_y=True)
    y = np.array(["a", "b", "c"])[labels]  # pyright: ignore[reportArgumentType]
    made = SpikingClassifier(**LONGER, code=code, random_state=0).fit(x, y)
    assert made.score(x, y) > 0.9
    p = made.predict_proba(x)
    assert p.sum(1) == pytest.approx(1)
    assert made.classes_.tolist() == ["a", "b", "c"]
    sets = made.predict_set(x, coverage=0.9)
    assert sets[np.arange(len(y)), labels].mean() > 0.9
    assert sets.any(1).all()


def test_members_are_taken_together(patients: tuple[Any, Any]) -> None:
    x, y = patients
    made = SpikingRegressor(**SMALL, members=3, random_state=0).fit(x, y)
    samples = made.sample(x[:4])
    assert samples.shape == (20, 4)
    for k, (begin, end) in enumerate([(0, 6), (6, 13), (13, 20)]):
        own = made.ensemble_.members[k].predict(
            made.predictive(x[:4]).samples.new_tensor(x[:4]), network=made.networks_[k], samples=2, mask_scope="pass"
        )
        assert abs(samples[begin:end].mean(0) - own.mean[:, 0].numpy()).max() < 6 * samples.std()
    with pytest.raises(ConfigError, match="samples must be at least 3, one of each member; got 2"):
        made.set_params(samples=2).predict(x)
    with pytest.raises(ConfigError, match="members must be a whole number, at least 1; got 0"):
        SpikingRegressor(**SMALL, members=0).fit(x, y)


@pytest.mark.slow
def test_in_a_pipeline_and_a_search(patients: tuple[Any, Any]) -> None:
    x, y = patients
    made = make_pipeline(StandardScaler(), SpikingRegressor(**SMALL, random_state=0))
    search = GridSearchCV(made, {"spikingregressor__dropout": [0.05, 0.2]}, cv=2).fit(x[:200], y[:200])
    mean, std = search.best_estimator_.predict(x[:3], return_std=True)
    assert mean.shape == std.shape == (3,)


def test_masked_values_are_not_taken_for_what_lies_under_the_mask(
    regressor: SpikingRegressor, patients: tuple[Any, Any]
) -> None:
    x, y = (np.ma.masked_greater(part, part.max() - 1e-9) for part in patients)
    for call in (lambda: regressor.predict(x), lambda: SpikingRegressor().fit(*patients[:1], y)):
        with pytest.raises(DataError, match="values of a masked array are masked"):
            call()
    with pytest.raises(DataError, match="values of a masked array are masked"):
        SpikingClassifier().fit(patients[0], np.ma.masked_array(patients[1] > 100, x.mask.any(1)))


FAR = 1.7e9  # seconds since 1970: steps of float32 are 128 there


@pytest.fixture(scope="module")
def curve() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    return x, x[:, 0] + 0.5 * x[:, 1] ** 2 + 0.1 * rng.normal(size=300)


@pytest.mark.slow
def test_numbers_far_from_zero_are_learned_like_those_near_it(curve: tuple[Any, Any]) -> None:
    x, y = curve
    targets, far = np.stack([y, -y], 1), np.array([FAR, 0.0])
    there = x + np.array([FAR, 0.0, 0.0])
    near = SpikingRegressor(**LONGER, random_state=0).fit(x, targets)
    made = SpikingRegressor(**LONGER, random_state=0).fit(there, targets + far)
    assert near.x_offset_.tolist() == [0, 0, 0]
    assert np.array_equal(near.y_offset_, [0, 0])  # pyright: ignore[reportArgumentType]
    assert made.x_offset_ == pytest.approx(np.array([FAR, 0, 0]), abs=1)
    assert made.x_offset_[0] != there[:, 0].mean()  # rows held out have no part in it
    assert made.y_offset_ == pytest.approx(far, abs=1)
    for result in (made, pickle.loads(pickle.dumps(made))):
        mean, std = result.predict(there, return_std=True)
        for k in range(2):
            assert r2_score(targets[:, k] + far[k], mean[:, k]) > 0.8
        assert mean.dtype == std.dtype == np.float64
        lower, upper = np.moveaxis(result.predict_interval(there), 1, 0)
        assert ((lower <= targets + far) & (targets + far <= upper)).mean(0).min() > 0.8
        width = np.subtract(*np.moveaxis(near.predict_interval(x), 1, 0)[::-1])
        assert (upper - lower).mean(0) == pytest.approx(width.mean(0), rel=0.2)
        assert std.mean(0) == pytest.approx(near.predict(x, return_std=True)[1].mean(0), rel=0.2)
        assert (np.diff(result.predict_quantiles(there), axis=1) > 0).all()
        assert result.predict_quantiles(there, (0.5,))[:, 0] == pytest.approx(mean, abs=0.5, rel=0)
        assert result.sample(there).mean(0) == pytest.approx(mean, abs=1e-4, rel=0)
    assert made.fit(x, targets).predict(x) == pytest.approx(near.predict(x), abs=0, rel=0)


def test_a_class_is_told_by_inputs_far_from_zero(curve: tuple[Any, Any]) -> None:
    x, _ = curve
    there = x + FAR
    assert SpikingClassifier(**SMALL, random_state=0).fit(there, x[:, 0] > 0).score(there, x[:, 0] > 0) > 0.9


def test_a_number_is_one_layer(curve: tuple[Any, Any]) -> None:
    x, y = curve
    made, same = (SpikingRegressor(hidden=hidden, epochs=2, samples=2, random_state=0) for hidden in (8, (8,)))
    assert np.array_equal(made.fit(x, y).predict(x), same.fit(x, y).predict(x))
    for hidden in (8.5, "ab", True, (8, 8.5), None):
        with pytest.raises(ConfigError, match="hidden must be the width of a layer, as 100, or of each layer"):
            SpikingClassifier(hidden=hidden).fit(x, y > 0)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="each at least 1 wide"):
        SpikingRegressor(hidden=0).fit(x, y)


@pytest.mark.parametrize("size", [1e39, 1e200, -1.7e308])
def test_numbers_beyond_float32_are_refused_by_their_place(curve: tuple[Any, Any], size: float) -> None:
    x, y = (part.copy() for part in curve)
    x[7, 1] = y[5] = size
    found, good = re.escape(f"{size:.3g}, too large for float32"), curve
    for made in (SpikingRegressor(), SpikingClassifier()):
        with pytest.raises(DataError, match=rf"^X\[7, 1\] is {found}.* give that column in another unit$"):
            made.fit(x, good[1] > 0)
        with pytest.raises(DataError, match=rf"^X\[7, 1\] \(row 7 of column 'mass'\) is {found}"):
            made.fit(pd.DataFrame(x, columns=["a", "mass", "c"]), good[1] > 0)
    with pytest.raises(DataError, match=rf"^y\[5\] is {found}.* give it in another unit$"):
        SpikingRegressor().fit(good[0], y)
    with pytest.raises(DataError, match=rf"^y\[5, 1\] is {found}"):
        SpikingRegressor().fit(good[0], np.stack([good[1], y], 1))


def test_too_large_a_number_to_predict_for(regressor: SpikingRegressor, patients: tuple[Any, Any]) -> None:
    x = patients[0][:3].copy()
    x[2, 4] = -1e39
    with pytest.raises(DataError, match=r"^X\[2, 4\] is -1e\+39, too large for float32"):
        regressor.predict(x)


def test_a_constant_target_is_nothing_to_learn(curve: tuple[Any, Any]) -> None:
    x, y = curve
    for value in (1.0, FAR):
        with pytest.raises(DataError, match=r"^the target is constant \(1.*on every row\): nothing to learn$"):
            SpikingRegressor().fit(x, np.full(len(x), value))
    with pytest.raises(DataError, match=r"^column 1 of the targets is constant \(0 on every row\).*; leave it out$"):
        SpikingRegressor().fit(x, np.stack([y, 0 * y], 1))


BRIEF: dict[str, Any] = {"hidden": (20,), "epochs": 40, "samples": 20, "random_state": 0}


@pytest.fixture(scope="module")
def twofold() -> tuple[Any, Any, Any]:
    """Rows of the target 0, and as many of the target 1 that count nine times as much; the inputs do not tell."""
    y = np.repeat([0.0, 1.0], 60)
    return np.random.default_rng(0).normal(size=(120, 2)), y, 1 + 8 * y


def test_rows_of_more_weight_draw_the_prediction_to_them(twofold: tuple[Any, Any, Any]) -> None:
    x, y, weights = twofold
    alike, weighed = (SpikingRegressor(**BRIEF).fit(x, y, w).predict(x).mean() for w in (None, weights))
    assert alike == pytest.approx(0.5, abs=0.15)
    assert weighed == pytest.approx(0.9, abs=0.1)
    classes = SpikingClassifier(**BRIEF).fit(x, y > 0, sample_weight=weights)
    assert classes.predict_proba(x)[:, 1].mean() == pytest.approx(0.9, abs=0.1)
    piped = make_pipeline(StandardScaler(), SpikingRegressor(**BRIEF))
    assert piped.fit(x, y, spikingregressor__sample_weight=weights).predict(x).mean() == pytest.approx(
        weighed, abs=0.1
    )


def test_rows_of_weight_0_are_as_if_they_were_not_there(twofold: tuple[Any, Any, Any]) -> None:
    x, y, weights = twofold
    few = BRIEF | {"epochs": 2}
    rows = np.arange(120) % 3 > 0
    x, labels = np.where(rows[:, None], x, 1e6), np.where(rows, np.where(y > 0, "a", "b"), "none")
    for made, told in ((SpikingRegressor(**few), y), (SpikingClassifier(**few), labels)):
        some = made.fit(x[rows], told[rows], weights[rows])
        expected, seen = some.sample(x[rows]), getattr(some, "classes_", np.empty(0)).tolist()
        zeros = made.fit(x, told, np.where(rows, 4 * weights, 0))  # a scale of the weights means nothing either
        assert np.array_equal(zeros.sample(x[rows]), expected)
        assert getattr(zeros, "classes_", np.empty(0)).tolist() == seen


def test_weights_that_are_none_are_refused(twofold: tuple[Any, Any, Any]) -> None:
    x, y, weights = twofold
    for wrong, why in (
        (weights[:5], r"sample_weight must be one number per row, \[120\]; got \[5\]"),
        (weights[:, None], r"one number per row, \[120\]; got \[120, 1\]"),
        (1 - weights, "sample_weight must be 0 or more; the least is -8"),
        (np.where(np.arange(120) > 0, 0, 1), "at least 2 rows of a weight above zero; got 1"),
        (weights * np.inf, "sample_weight contains infinity"),
    ):
        for made in (SpikingRegressor(), SpikingClassifier()):
            with pytest.raises(ValueError, match=why):
                made.fit(x, y, wrong)


def test_a_fit_that_fails_leaves_the_one_before(curve: tuple[Any, Any]) -> None:
    x, y = curve
    given: dict[str, Any] = {"hidden": 5, "epochs": 2, "samples": 4, "random_state": 0}
    model = SpikingClassifier(**given).fit(x, np.where(y > np.median(y), "a", "b"))
    before = model.predict_proba(x)
    with pytest.raises(ConfigError, match="dropout must lie in"):
        model.set_params(dropout=2.0).fit(np.hstack([x, x]), np.where(y > np.median(y), "c", "d"))
    assert model.classes_.tolist() == ["a", "b"]
    assert np.array_equal(model.predict_proba(x), before)
    assert model.dropout == 2.0
    fresh = SpikingRegressor(**given, dropout=2.0)
    with pytest.raises(ConfigError, match="dropout must lie in"):
        fresh.fit(x, y)
    with pytest.raises(NotFittedError):
        fresh.predict(x)


def test_settings_are_refused_before_the_training(curve: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = curve
    monkeypatch.setattr("spikebayes.sklearn.estimator.fit_ensemble", None)  # is not called
    for setting, why in (
        ({"code": "digits"}, r"code must be 'lif', 'auto' or a code, as Digits\(4, 4\); got 'digits'"),
        ({"code": None}, "code must be 'lif', 'auto' or a code"),
        ({"dropout": 0}, r"dropout must lie in \(0, 1\): without it nothing is random; got 0"),
        ({"dropout": "0.1"}, r"dropout must lie in \(0, 1\)"),
        ({"coverage": 90}, r"coverage must lie in \(0, 1\), as 0.9; got 90"),
        ({"coverage": "0.9"}, r"coverage must be a number in \(0, 1\); got '0.9'"),
    ):
        for made in (SpikingRegressor(**setting), SpikingClassifier(**setting)):
            with pytest.raises(ConfigError, match=why):
                made.fit(x, y > 0)
