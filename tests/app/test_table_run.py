"""A network trained on a table: what is prepared, learned and compared."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import make_friedman1

from problems import table
from spikebayes.app.run_folder import load_run, save_run
from spikebayes.app.standing import Standing, standing
from spikebayes.app.table_comparison import compare_table
from spikebayes.app.table_run import TableRun, build, train_table
from spikebayes.app.table_task import prepare_table
from spikebayes.data import encode_features, encode_target, read_table
from spikebayes.data.kinds import Levels
from spikebayes.errors import ConfigError, DataError
from spikebayes.evaluate.scores import scores
from spikebayes.network.neurons import LIF
from spikebayes.nn import SoftLIF
from spikebayes.prediction.task import Task

pytestmark = pytest.mark.slow  # networks are trained first


@pytest.fixture(scope="module")
def run() -> TableRun:
    frame = table(150).drop(columns="kind")
    return train_table(prepare_table(frame, "y", categorical=["color"], hidden=(24,)), epochs=60)


# -- preparing ---------------------------------------------------------------------------------------------


def test_rows_are_split_once_and_by_the_seed() -> None:
    frame = table(50).drop(columns=["kind", "color"])
    one, same, other = (prepare_table(frame, "y", validation=0.2, seed=seed) for seed in (4, 4, 5))
    assert sorted(torch.cat([one.train, one.held]).tolist()) == list(range(50))
    assert len(one.held) == 10
    assert torch.equal(one.held, same.held)
    assert not torch.equal(one.held, other.held)
    assert torch.equal(one.x[:, 0], torch.tensor(frame["a"], dtype=torch.float32))


@pytest.mark.parametrize(
    ("target", "drop", "inputs", "outputs", "task"),
    [("y", ["kind"], 5, 1, Task.REGRESSION), ("kind", ["y"], 5, 2, Task.CLASSIFICATION)],
)
def test_the_network_fits_the_table(target: str, drop: list[str], inputs: int, outputs: int, task: Task) -> None:
    prepared = prepare_table(table().drop(columns=drop), target, categorical=["color"], hidden=[3], dropout=0.3)
    sizes = {"inputs": inputs, "outputs": outputs, "hidden": [3], "dropout": 0.3}
    assert prepared.architecture == {"kind": "lif"} | sizes | {"neuron": asdict(SoftLIF().neuron)}
    assert prepared.schema.task is task
    assert prepared.schema.output_names == (("y",) if task is Task.REGRESSION else ("down", "up"))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"dropout": 0.0}, r"dropout must lie in \(0, 1\)"),
        ({"dropout": 1.0}, r"dropout must lie in \(0, 1\)"),
        ({"dropout": float("nan")}, r"dropout must lie in \(0, 1\)"),
        ({"validation": 0.0}, r"validation share must lie in \(0, 1\)"),
        ({"validation": 1.0}, r"validation share must lie in \(0, 1\)"),
        ({"hidden": ()}, "hidden layers"),
        ({"hidden": (0,)}, "hidden layers"),
        ({"seed": -1}, "a seed must be an integer"),
        ({"seed": 1 << 64}, "a seed must be an integer"),
        ({"network": "lstm"}, "network must be one of lif, sharpened, s2m; got 'lstm'"),
        ({"network": "sharpened", "dropout": 0.0}, r"dropout must lie in \(0, 1\)"),
        ({"network": "s2m", "dropout": 0.1}, "s2m is random in its synapses: leave dropout out"),
        ({"network": "s2m", "hidden": ()}, "hidden layers"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        prepare_table(table().drop(columns=["kind", "color"]), "y", **settings)


# -- training ----------------------------------------------------------------------------------------------


def test_training_is_a_function_of_the_seed() -> None:
    frame = table().drop(columns=["kind", "color"])
    torch.manual_seed(1)
    before = torch.get_rng_state()
    runs = [train_table(prepare_table(frame, "y", hidden=(4,), seed=seed), epochs=2) for seed in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    one, same, other = (run.fitted.model[0].weight for run in runs)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_new_rows_are_predicted_in_the_tables_units(run: TableRun) -> None:
    new = table(60, seed=1)
    made = run.predict(new, samples=50)
    y = encode_target(new, run.schema)
    assert 1 - (made.mean - y).pow(2).mean() / y.var() > 0.9
    assert torch.equal(run.targets(new), y)
    assert run.targets(new.drop(columns="y")) is None
    shuffled = new[["kind", "color", "b", "a"]]
    assert torch.equal(run.predict(shuffled, samples=5).samples, run.predict(new, samples=5).samples)


def test_numbers_far_from_zero_are_learned_and_predicted_like_others() -> None:
    near = table(80).drop(columns=["kind", "color"])
    far = near + {"a": 1.7e9, "b": 0, "y": 2.0**30}  # whose float32 are 128 apart
    made, scored = [], []
    for frame in (near, far):
        run = train_table(prepare_table(frame, "y", hidden=(8,)), epochs=3)
        made.append(run.predict(frame, samples=20))
        targets = run.targets(frame)
        assert targets is not None
        np.testing.assert_allclose(targets[:, 0], frame["y"], rtol=0, atol=1e-6)
        scored.append(scores(made[-1], targets))
    np.testing.assert_allclose(list(scored[1].values()), list(scored[0].values()), rtol=2e-3)
    residual = made[1].mean[:, 0].numpy() - far["y"]
    np.testing.assert_allclose(scored[1]["RMSE"], np.sqrt((residual**2).mean()), rtol=1e-6)
    one, other = (predictive.to_pandas() for predictive in made)
    for name in one.columns:
        shift = 0 if "std" in name else 2.0**30
        np.testing.assert_allclose(other[name] - shift, one[name], rtol=1e-2, atol=2e-3)
    ends = zip(made[0].interval(0.9), made[1].interval(0.9), strict=True)
    for end, shifted in ends:
        np.testing.assert_allclose(shifted - 2.0**30, end, rtol=1e-2, atol=5e-3)
    assert made[0].samples.dtype == torch.float32


def test_labels_of_a_text_file_come_out_as_they_were_written(tmp_path: Path) -> None:
    lines = [f"{row},{'NA' if row % 3 else 'DE'},{'01' if row < 15 else '02'}" for row in range(30)]
    (tmp_path / "t.csv").write_text("\n".join(["a,c,y", *lines]))
    frame = read_table(tmp_path / "t.csv")
    prepared = prepare_table(frame, "y", categorical=["c"], task=Task.CLASSIFICATION, hidden=(4,))
    run = train_table(prepared, epochs=2)
    assert run.schema.columns["c"] == Levels(("DE", "NA"))
    assert run.schema.output_names == run.predict(frame.iloc[:2], samples=5).names == ("01", "02")
    alone = pd.DataFrame({"a": [3], "c": ["NA"]})
    assert torch.equal(
        run.predict(alone, samples=5).samples, run.predict(frame.iloc[[1]].assign(a=3), samples=5).samples
    )


def test_a_table_without_a_column_is_refused(run: TableRun) -> None:
    with pytest.raises(DataError, match="'b'"):
        run.predict(table().drop(columns="b"))


# -- the other networks ------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["sharpened", "s2m"])
def one_step(request: pytest.FixtureRequest) -> TableRun:
    frame = table(300).drop(columns="y")
    prepared = prepare_table(frame, "kind", categorical=["color"], network=request.param, hidden=(32, 32))
    return train_table(prepared, epochs=40, batch_size=32, learning_rate=1e-2)


@pytest.mark.slow
def test_networks_without_memory_learn_classes(one_step: TableRun) -> None:
    new = table(150, seed=1)
    comparison, network = compare_table(one_step, new, samples=100)
    assert network.is_memoryless
    assert comparison.spiking.settings["steps"] == 1
    right = comparison.spiking.mean.argmax(1) == encode_target(new, one_step.schema)
    assert right.double().mean() > 0.85
    assert (comparison.spiking.samples.std(0) > 0).any()
    if one_step.architecture["kind"] == "sharpened":  # the same samples; S2M trains by a law, its synapses draw bits
        assert "Under the same masks both give the same judged number in every sample" in comparison.summary()
    else:
        assert comparison.verdict.accepted, comparison.summary()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sharpened", "s2m"])
def test_networks_without_memory_learn_numbers(kind: Any) -> None:
    frame = table(300).drop(columns="kind")
    prepared = prepare_table(frame, "y", categorical=["color"], network=kind, hidden=(64, 64))
    learned = train_table(prepared, epochs=40, batch_size=32, learning_rate=1e-2)
    new = table(100, seed=1)
    made = learned.predict(new, network=learned.network(), samples=50)
    y = encode_target(new, learned.schema)
    assert 1 - (made.mean - y).pow(2).mean() / y.var() > 0.6
    assert made.noise_std is not None


def test_a_step_that_is_a_sample_has_no_time_constant(one_step: TableRun) -> None:
    with pytest.raises(ConfigError, match="tau is for networks of LIF neurons"):
        one_step.network(tau=0.02)


# -- comparing ---------------------------------------------------------------------------------------------


def test_a_comparison_is_four_predictions(run: TableRun) -> None:
    new = table(15, seed=2)
    budget = {"samples": 40, "steps": 400, "burn_in": 200}
    comparison, network = compare_table(run, new, network=run.network(dt=5e-4, tau=0.01), seed=10, **budget)
    assert network.dt == 5e-4
    x = encode_features(new, run.schema)
    assert torch.equal(comparison.classical.samples, run.fitted.predict(x, seed=10, samples=40).samples)
    spiking = run.fitted.predict(x, network=network, seed=12, **budget)
    assert torch.equal(comparison.spiking.samples, spiking.samples)
    assert comparison.verdict.paired_rmse is None
    assert comparison.verdict.control is not None
    same = run.fitted.predict(x, network=network, seed=10, **budget)
    off = (same.samples - comparison.classical.samples).pow(2).mean(0).sqrt() / comparison.classical.model_std
    paired = comparison.paired.paired_rmse
    assert paired is not None
    np.testing.assert_allclose(paired[:, 0], off[:, 0], rtol=1e-3)  # what is beside it is of the noise
    assert np.median(comparison.paired.paired_rmse) < 0.2


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"seed": -1}, "a seed must be"),
        ({"seed": (1 << 64) - 2}, "a seed must be"),
        ({"samples": 1}, "samples must be"),
        ({"steps": 100, "burn_in": 100}, "burn_in must be"),
    ],
)
def test_settings_of_a_comparison_are_checked_first(run: TableRun, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        compare_table(run, table(0), **settings)  # no rows: a prediction would be refused as DataError


@pytest.mark.parametrize(("settings", "says"), [({"dt": 0.0}, "dt must be"), ({"tau": -1.0}, "time constant")])
def test_settings_of_a_network_are_checked(run: TableRun, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        run.network(**settings)


def test_a_run_keeps_the_neuron_it_was_trained_with() -> None:
    architecture = {"inputs": 2, "outputs": 1, "hidden": [3], "dropout": 0.1}  # as the first runs were stored
    old = LIF(tau_rc=0.03, tau_ref=0.002, amplitude=0.063, gain=1.5, bias=1.0)
    built = build(architecture | {"neuron": asdict(old)})
    assert [m.neuron for m in built if isinstance(m, SoftLIF)] == [old]


@pytest.mark.parametrize(("noise", "outputs"), [("constant", 1), ("row", 2)])
def test_the_noise_is_as_asked(noise: Any, outputs: int, tmp_path: Path) -> None:
    frame = table(60).drop(columns=["kind", "color"])
    run = train_table(prepare_table(frame, "y", hidden=(4,), noise=noise), epochs=2)
    assert (run.fitted.noise, run.architecture["outputs"]) == (noise, outputs)
    save_run(run, tmp_path)
    one, two = (each.predict(frame, samples=5) for each in (run, load_run(tmp_path)))
    assert (one.noise_samples is None) is (noise == "constant")
    assert one.noise_std is not None
    assert one.noise_std.shape == ((1,) if noise == "constant" else (60, 1))
    assert torch.equal(one.noise_std, two.noise_std)
    assert one.names == ("y",)


# -- unreliable synapses -----------------------------------------------------------------------------------


def test_an_s2m_of_before_is_built_without_encoders() -> None:
    numbers = {"inputs": 3, "outputs": 1, "hidden": [4], "keep": 0.5, "noise": 0.6}
    assert [type(m).__name__ for m in build({"kind": "s2m"} | numbers)] == ["NoisySign", "BlankOutLinear", "Linear"]


def test_an_s2m_learns_quantities_better_than_a_linear_model() -> None:
    x, y = make_friedman1(700, noise=1.0, random_state=0)
    frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(10)]).assign(y=y)
    task = prepare_table(frame, "y", network="s2m", hidden=(50,))
    stands = standing(train_table(task, epochs=60, learning_rate=0.01), task)
    assert isinstance(stands, Standing)
    rmse = stands.scores["RMSE"]
    twin, linear = rmse["spiking twin"], rmse["linear model"]
    assert twin is not None
    assert linear is not None
    assert twin < 0.9 * linear
