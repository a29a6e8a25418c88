"""A run in a folder: it predicts to the same bits, and a damaged one is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from problems import table
from spikebayes.app.run_folder import DESCRIPTION, FORMAT, TENSORS, load_run, save_run
from spikebayes.app.table_run import TableRun, train_table
from spikebayes.app.table_task import prepare_table
from spikebayes.errors import ConfigError, StoreError
from spikebayes.machine.checked_files import read_json, write_json, write_tensors
from spikebayes.machine.versions import versions

QUICK: dict[str, Any] = {"epochs": 3, "patience": 2}


@pytest.fixture(scope="module")
def regression() -> TableRun:
    frame = table().drop(columns="kind")
    return train_table(prepare_table(frame, "y", categorical=["color"], hidden=(6, 5)), **QUICK)


@pytest.fixture(scope="module")
def classification() -> TableRun:
    return train_table(prepare_table(table().drop(columns=["y", "color"]), "kind", hidden=(6,)), **QUICK)


@pytest.fixture(scope="module")
def sharpened() -> TableRun:
    frame = table().drop(columns=["y", "color"])
    return train_table(prepare_table(frame, "kind", network="sharpened", hidden=(6,)), **QUICK)


@pytest.fixture(scope="module")
def s2m() -> TableRun:
    frame = table().drop(columns="kind")
    return train_table(prepare_table(frame, "y", categorical=["color"], network="s2m", hidden=(6, 5)), **QUICK)


@pytest.fixture(params=["regression", "classification", "sharpened", "s2m"])
def run(request: pytest.FixtureRequest) -> TableRun:
    return request.getfixturevalue(request.param)


# -- there and back ----------------------------------------------------------------------------------------


def test_a_stored_run_predicts_to_the_same_bits(run: TableRun, tmp_path: Path) -> None:
    save_run(run, tmp_path / "new" / "run")
    loaded = load_run(tmp_path / "new" / "run")
    rows = table(7, seed=1)
    for network in (None, run.network()):
        of = {"samples": 9, "seed": 3, "steps": 120, "burn_in": 60}
        one = run.predict(rows, network=network, **of)
        two = loaded.predict(rows, network=None if network is None else loaded.network(), **of)
        assert torch.equal(one.samples, two.samples)
        assert one.names == two.names
        assert one.task is two.task
        assert (one.noise_std is None) == (two.noise_std is None)
        assert one.noise_std is None or torch.equal(one.noise_std, two.noise_std)


def test_a_calibration_survives(tmp_path: Path) -> None:
    run = train_table(prepare_table(table(200), "y", hidden=(4,), categorical=["kind", "color"]), epochs=2)
    save_run(run, tmp_path)
    one, two = (each.predict(table(5), samples=5) for each in (run, load_run(tmp_path)))
    assert one.conformal is not None
    assert one.conformal.rows == 9
    assert torch.equal(one.lower, two.lower)


def test_a_run_from_before_there_was_a_calibration_is_read(stored: Path) -> None:
    description = read_json(stored / DESCRIPTION, FORMAT)
    del description["conformal"]
    write_json(stored / DESCRIPTION, description, FORMAT)
    assert load_run(stored).fitted.conformal is None


def test_a_damaged_calibration_is_refused(stored: Path) -> None:
    description = read_json(stored / DESCRIPTION, FORMAT)
    parts = ("scores", "errors", "spread", "information")
    description["conformal"] = {"method": "scaled", "settings": {}} | {part: [[1.0], [2.0]] for part in parts}
    write_json(stored / DESCRIPTION, description, FORMAT)
    with pytest.raises(StoreError, match="the stored calibration is damaged"):
        load_run(stored)


def test_what_a_run_is_survives(run: TableRun, tmp_path: Path) -> None:
    save_run(run, tmp_path)
    loaded = load_run(tmp_path)
    assert loaded.schema == run.schema
    assert loaded.architecture == run.architecture
    assert loaded.versions == run.versions
    assert loaded.versions["torch"] == versions()["torch"]
    assert loaded.fitted.history == run.fitted.history
    assert not loaded.fitted.model.training
    save_run(loaded, tmp_path / "again")
    assert (tmp_path / "again" / DESCRIPTION).read_bytes() == (tmp_path / DESCRIPTION).read_bytes()
    assert (tmp_path / "again" / TENSORS).read_bytes() == (tmp_path / TENSORS).read_bytes()


@pytest.fixture(scope="module")
def tuned() -> TableRun:
    """With rows enough to tune on."""
    frame = table(100).drop(columns="kind")
    return train_table(prepare_table(frame, "y", categorical=["color"], hidden=(6,), validation=0.2), **QUICK)


def test_filters_and_timing_survive(tuned: TableRun, tmp_path: Path) -> None:
    save_run(tuned, tmp_path)
    loaded, rows = load_run(tmp_path), table(7, seed=1)
    assert loaded.fitted.timing == tuned.fitted.timing is not None
    assert loaded.fitted.synapse == tuned.fitted.synapse
    assert repr(loaded.network()) == repr(tuned.network())
    one, two = (run.predict(rows, network=run.network(), samples=4) for run in (tuned, loaded))
    assert torch.equal(one.samples, two.samples)
    assert two.settings["steps"] == tuned.fitted.timing.steps
    assert loaded.network(tau=0.015).timing is None


def test_a_run_from_before_timings_takes_what_its_filters_need(tuned: TableRun, tmp_path: Path) -> None:
    save_run(tuned, tmp_path)
    stored = read_json(tmp_path / DESCRIPTION, FORMAT)
    del stored["timing"]
    write_json(tmp_path / DESCRIPTION, stored, FORMAT)
    loaded = load_run(tmp_path)
    settings = loaded.predict(table(7), network=loaded.network(), samples=2).settings
    assert (settings["steps"], settings["burn_in"]) == (232, 132)  # one Alpha filter of 20 ms


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"tau": "fast"}, "'tau' of Alpha must be a number; got 'fast'"),
        ({"tau": -1.0}, "time constant must be a positive number"),
        ({"steps": 5.5}, "'steps' of Timing must be a whole number; got 5.5"),
        ({"burn_in": 10**6}, "burn_in must be a whole number in"),
        ({"window": "Kaiser"}, "'Kaiser'"),
    ],
)
def test_a_timing_that_does_not_add_up(tuned: TableRun, tmp_path: Path, change: dict[str, Any], says: str) -> None:
    save_run(tuned, tmp_path)
    stored = read_json(tmp_path / DESCRIPTION, FORMAT)
    stored["timing"] |= change
    write_json(tmp_path / DESCRIPTION, stored, FORMAT)
    with pytest.raises(StoreError, match=says):
        load_run(tmp_path)


def test_the_files_are_json_and_safetensors_and_nothing_else(regression: TableRun, tmp_path: Path) -> None:
    save_run(regression, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [DESCRIPTION, TENSORS]
    assert json.loads((tmp_path / DESCRIPTION).read_text())["format"] == FORMAT
    content = (tmp_path / TENSORS).read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert len(content) == 8 + length + max(t["data_offsets"][1] for t in header.values())


def test_a_folder_that_cannot_be_written_is_refused(regression: TableRun, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot write"):
        save_run(regression, tmp_path / "file")


# -- damage ------------------------------------------------------------------------------------------------


@pytest.fixture
def stored(regression: TableRun, tmp_path: Path) -> Path:
    save_run(regression, tmp_path / "run")
    return tmp_path / "run"


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no run folder"):
        load_run(tmp_path / "no")


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no finished run \(no run\.json\)$"):
        load_run(tmp_path)


def test_a_training_that_was_not_finished(stored: Path) -> None:
    (stored / DESCRIPTION).unlink()
    (stored / "checkpoints").mkdir()
    with pytest.raises(StoreError, match="continue by fit --resume"):
        load_run(stored)


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("file", [DESCRIPTION, TENSORS])
@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b"", flipped, lambda b: b + b"x"])
def test_torn_or_edited_files(stored: Path, file: str, damage: Callable[[bytes], bytes]) -> None:
    (stored / file).write_bytes(damage((stored / file).read_bytes()))
    with pytest.raises(StoreError, match=file.replace(".", r"\.")):
        load_run(stored)


def test_missing_tensors(stored: Path) -> None:
    (stored / TENSORS).unlink()
    with pytest.raises(StoreError, match=r"run\.safetensors is missing"):
        load_run(stored)


def test_tensors_of_another_run(stored: Path, classification: TableRun, tmp_path: Path) -> None:
    save_run(classification, tmp_path / "other")
    shutil.copy(tmp_path / "other" / TENSORS, stored / TENSORS)
    with pytest.raises(StoreError, match="from another run"):
        load_run(stored)


def test_an_old_description_beside_new_tensors_is_refused(stored: Path) -> None:
    """What a crash between the two files of a second save leaves."""
    tensors = load_file(stored / TENSORS)
    write_tensors(stored / TENSORS, tensors | {"fitted.noise_std": tensors["fitted.noise_std"] * 2})
    with pytest.raises(StoreError, match="checksum"):
        load_run(stored)


@pytest.mark.parametrize("key", ["architecture", "schema", "history", "config", "versions", "tensors_sha256"])
def test_a_description_without_a_key(stored: Path, key: str) -> None:
    description = read_json(stored / DESCRIPTION, FORMAT)
    del description[key]
    write_json(stored / DESCRIPTION, description, FORMAT)
    with pytest.raises(StoreError, match=f"damaged: '{key}' is missing"):
        load_run(stored)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"hidden": [6, 7]}, "Error.* in loading state_dict"),
        ({"hidden": [6]}, "Error.* in loading state_dict"),
        ({"hidden": []}, "hidden layers"),
        ({"hidden": 6}, "hidden must be a list"),
        ({"hidden": ["6", "5"]}, "each of it a whole number"),
        ({"dropout": 1.5}, "probability"),
        ({"dropout": "much"}, "dropout must be a number"),
        ({"layers": 2}, "unexpected keyword argument 'layers'"),
        ({"inputs": 4}, "Error.* in loading state_dict"),
    ],
)
def test_an_architecture_that_does_not_fit(stored: Path, change: dict[str, Any], says: str) -> None:
    description = read_json(stored / DESCRIPTION, FORMAT)
    description["architecture"] |= change
    write_json(stored / DESCRIPTION, description, FORMAT)
    with pytest.raises(StoreError, match=f"damaged: .*{says}"):
        load_run(stored)


def test_columns_that_do_not_fit_the_network(stored: Path) -> None:
    description = read_json(stored / DESCRIPTION, FORMAT)
    description["schema"]["columns"]["c"] = {"kind": "number"}
    write_json(stored / DESCRIPTION, description, FORMAT)
    with pytest.raises(StoreError, match="the network does not fit a table of 6 inputs and 1 outputs"):
        load_run(stored)


def test_a_schema_of_another_task(stored: Path) -> None:
    description = read_json(stored / DESCRIPTION, FORMAT)
    classes = {"y": {"kind": "levels", "levels": ["down", "up"]}}
    description["schema"] |= {"task": "classification", "targets": classes}
    write_json(stored / DESCRIPTION, description, FORMAT)
    with pytest.raises(StoreError, match="does not fit a table of 5 inputs and 2 outputs"):
        load_run(stored)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fitted.x_mean", None),
        ("fitted.y_std", None),
        ("fitted.noise_std", None),
        ("fitted.x_std", torch.ones(4)),
        ("fitted.noise_std", torch.ones(2)),
        ("fitted.extra", torch.ones(1)),
        ("model.0.bias", None),
        ("model.0.bias", torch.ones(7)),
        ("model.9.bias", torch.ones(7)),
    ],
)
def test_tensors_that_do_not_add_up(stored: Path, name: str, value: torch.Tensor | None) -> None:
    description, tensors = read_json(stored / DESCRIPTION, FORMAT), load_file(stored / TENSORS)
    if value is None:
        del tensors[name]
    else:
        tensors[name] = value
    description["tensors_sha256"] = write_tensors(stored / TENSORS, tensors)
    write_json(stored / DESCRIPTION, description, FORMAT)
    with pytest.raises(StoreError, match="is damaged: "):
        load_run(stored)


def test_a_run_of_a_newer_version(stored: Path) -> None:
    write_json(stored / DESCRIPTION, read_json(stored / DESCRIPTION, FORMAT), "spikebayes.run/2")
    with pytest.raises(StoreError, match="newer spikebayes"):
        load_run(stored)


def test_numbers_of_another_kind_are_refused(stored: Path) -> None:
    description = read_json(stored / DESCRIPTION, FORMAT)
    tensors = load_file(stored / TENSORS)
    tensors["fitted.x_mean"] = tensors["fitted.x_mean"].bool()
    description["tensors_sha256"] = write_tensors(stored / TENSORS, tensors)
    write_json(stored / DESCRIPTION, description, FORMAT)
    with pytest.raises(StoreError, match=r"x_mean must hold floating-point numbers; it holds torch\.bool"):
        load_run(stored)


@pytest.mark.parametrize("key", ["architecture", "schema", "history", "config", "versions"])
@pytest.mark.parametrize("value", [[], 3, "text", None, {"a": {}} | {"b": 1}])
def test_a_key_that_holds_something_else(stored: Path, key: str, value: Any) -> None:
    write_json(stored / DESCRIPTION, read_json(stored / DESCRIPTION, FORMAT) | {key: value}, FORMAT)
    if isinstance(value, dict) and key in ("history", "config"):  # free mappings
        load_run(stored)
        return
    with pytest.raises(StoreError):
        load_run(stored)
