"""JSON and tensor files: what goes in comes out, whole, or is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spikebayes.errors import ConfigError, StoreError
from spikebayes.machine import checked_files
from spikebayes.machine.checked_files import (
    read_described,
    read_json,
    read_tensors,
    write_described,
    write_json,
    write_tensors,
)

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
trees = st.recursive(scalars, lambda t: st.lists(t, max_size=4) | st.dictionaries(st.text(), t, max_size=4))


@given(st.dictionaries(st.text().filter(lambda k: k not in ("format", "checksum")), trees, max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_json_comes_back_exactly(tmp_path: Path, obj: dict[str, Any]) -> None:
    write_json(tmp_path / "a.json", obj, "example/1")
    assert read_json(tmp_path / "a.json", "example/1") == obj


def test_tuples_and_number_keys_come_back_as_json_has_them(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"shape": (1, 2), 10: 1, 9: 2}, "example/1")  # pyright: ignore
    assert read_json(tmp_path / "a.json", "example/1") == {"shape": [1, 2], "10": 1, "9": 2}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), torch.zeros(1), {1}])
def test_what_json_cannot_express_is_refused_and_nothing_is_written(value: object, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot write .*a\.json"):
        write_json(tmp_path / "a.json", {"value": value}, "example/1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["format", "checksum"])
def test_the_keys_that_writing_adds_are_taken(key: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="the keys 'format' and 'checksum' are taken"):
        write_json(tmp_path / "a.json", {key: 1}, "example/1")


@pytest.mark.parametrize(
    ("format", "newer"),
    [("example/3", True), ("example/1", False), ("other/3", False), ("example", False), ("example/x", False)],
)
def test_another_format_is_refused(format: str, newer: bool, tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {}, format)
    with pytest.raises(StoreError, match=f"has format '{format}', but 'example/2' is expected") as caught:
        read_json(tmp_path / "a.json", "example/2")
    assert ("upgrade to read it" in str(caught.value)) == newer


def test_an_edited_value_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"dt": 0.001}, "example/1")
    path.write_text(path.read_text().replace("0.001", "0.002"))
    with pytest.raises(StoreError, match="was edited after it was written"):
        read_json(path, "example/1")


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot read .*: Is a directory"):
        read_json(tmp_path, "example/1")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool])
def test_tensors_come_back_exactly(dtype: torch.dtype, tmp_path: Path) -> None:
    base = torch.randn(4, 6, generator=torch.Generator().manual_seed(0)).to(dtype)
    tensors = {"whole": base, "view": base[:, ::2].T, "again": base, "scalar": base[0, 0], "empty": base[:0]}
    checksum = write_tensors(tmp_path / "a.safetensors", tensors)
    loaded = read_tensors(tmp_path / "a.safetensors", checksum)
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].dtype == dtype
        assert torch.equal(loaded[name], tensor)


def test_parameters_are_stored_without_their_gradients(tmp_path: Path) -> None:
    layer = torch.nn.Linear(2, 3)
    checksum = write_tensors(tmp_path / "a", dict(layer.named_parameters()))
    assert not read_tensors(tmp_path / "a", checksum)["weight"].requires_grad


def test_the_same_tensors_give_the_same_checksum(tmp_path: Path) -> None:
    tensors = {"b": torch.ones(2), "a": torch.zeros(3)}
    first = write_tensors(tmp_path / "1", tensors)
    assert write_tensors(tmp_path / "2", dict(reversed(tensors.items()))) == first
    assert write_tensors(tmp_path / "3", {**tensors, "a": torch.full((3,), -0.0)}) != first


def test_another_checksum_is_refused(tmp_path: Path) -> None:
    write_tensors(tmp_path / "a", {"w": torch.ones(2)})
    with pytest.raises(StoreError, match="torn, edited or from another run"):
        read_tensors(tmp_path / "a", "0" * 64)


def test_a_file_that_holds_no_tensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"no tensors")
    with pytest.raises(StoreError, match="is not a tensor file"):
        read_tensors(tmp_path / "a", sha256(b"no tensors").hexdigest())


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="none is missing"):
        read_tensors(tmp_path / "none", "")


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        write_tensors(tmp_path / "none" / "a", {})


# -- a description and its tensors ---------------------------------------------------------------------------


OLD, NEW = torch.zeros(3), torch.ones(3)


def held(folder: Path) -> tuple[str, float]:
    """What a description says, and what its tensors hold."""
    description, tensors = read_described(folder, "net", "net/1")
    return description["of"], float(tensors["a"].mean())


@pytest.mark.parametrize("kill", [True, False])
@pytest.mark.parametrize("step", range(7))
def test_a_pair_is_whole_at_every_moment(
    step: int, kill: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing stops at one of the moments at which a file gets or loses its name; readers look meanwhile."""
    write_described(tmp_path, "net", {"of": "old"}, {"a": OLD}, "net/1")
    done = 0
    with monkeypatch.context() as patch:

        def watched(change: Callable[..., None]) -> Callable[..., None]:
            def changed(*arguments: Any, **options: Any) -> None:
                nonlocal done
                assert held(tmp_path) in (("old", 0.0), ("new", 1.0))
                if done >= step if kill else done == step:  # after a kill nothing is cleaned up
                    done += 1
                    raise KeyboardInterrupt
                done += 1
                change(*arguments, **options)

            return changed

        patch.setattr(os, "replace", watched(os.replace))
        patch.setattr(Path, "unlink", watched(Path.unlink))
        with suppress(KeyboardInterrupt):
            write_described(tmp_path, "net", {"of": "new"}, {"a": NEW}, "net/1")
    assert done > step
    assert held(tmp_path) in (("old", 0.0), ("new", 1.0))
    write_described(tmp_path, "net", {"of": "third"}, {"a": NEW * 2}, "net/1")
    assert held(tmp_path) == ("third", 2.0)
    assert {"net.json", "net.safetensors"} == {p.name for p in tmp_path.iterdir() if "partial" not in p.name}


def test_whoever_reads_while_a_pair_is_replaced_reads_one_of_the_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_described(tmp_path, "net", {"of": "old"}, {"a": OLD}, "net/1")
    read = checked_files.read_tensors

    def replaced_meanwhile(path: Path, sha256: str) -> dict[str, torch.Tensor]:
        monkeypatch.setattr(checked_files, "read_tensors", read)
        write_described(tmp_path, "net", {"of": "new"}, {"a": NEW}, "net/1")
        return read(path, sha256)

    monkeypatch.setattr(checked_files, "read_tensors", replaced_meanwhile)
    assert held(tmp_path) == ("new", 1.0)


def test_a_full_disk_keeps_the_pair_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_described(tmp_path, "net", {"of": "old"}, {"a": OLD}, "net/1")

    def full(*_: object) -> None:
        raise ConfigError("cannot write: no space left")

    monkeypatch.setattr(checked_files, "write_json", full)
    with pytest.raises(ConfigError, match="no space left"):
        write_described(tmp_path, "net", {"of": "new"}, {"a": NEW}, "net/1")
    assert held(tmp_path) == ("old", 0.0)
    assert {p.name for p in tmp_path.iterdir()} == {"net.json", "net.safetensors"}
