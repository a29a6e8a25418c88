"""Files are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from spikebayes.data.tables import write_table
from spikebayes.errors import ConfigError
from spikebayes.machine.checked_files import write_json, write_tensors
from spikebayes.machine.files import atomic, check_writable, make_folder
from spikebayes.prediction.predictive import Draw, Predictive


def test_the_file_appears_only_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    with atomic(target) as partial:
        partial.write_text("whole")
        assert partial.parent == tmp_path
        assert partial.suffix == ".csv"
        assert not target.exists()
    assert target.read_text() == "whole"
    assert os.listdir(tmp_path) == ["table.csv"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("started", [True, False])
def test_an_error_keeps_the_old_file_and_leaves_nothing_behind(
    tmp_path: Path, error: type[BaseException], started: bool
) -> None:
    target = tmp_path / "table.csv"
    target.write_text("old")

    def write() -> None:
        with atomic(target) as partial:
            if started:
                partial.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["table.csv"]


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_files_may_be_read_by_whom_the_umask_lets(tmp_path: Path, umask: int) -> None:
    def replace(path: Path) -> None:
        with atomic(path) as partial:
            own = path.with_name("own")
            os.close(os.open(own, os.O_CREAT | os.O_WRONLY, 0o600))
            own.rename(partial)

    p = Predictive(torch.zeros(2, 1, 1), Draw(0, "row", torch.arange(1)))
    writers: dict[str, Callable[[Path], object]] = {
        "a.txt": replace,
        "a.json": lambda path: write_json(path, {}, "test/1"),
        "a.safetensors": lambda path: write_tensors(path, {"a": torch.zeros(1)}),
        "p.safetensors": p.save,
        **{f"t.{suffix}": lambda path: write_table(p.to_pandas(), path) for suffix in ("csv", "parquet", "npz")},
    }
    before = os.umask(umask)
    try:
        for name, write in writers.items():
            write(tmp_path / name)
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(writers, 0o666 & ~umask)


def test_a_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert os.listdir(tmp_path / "a") == ["b"]
    assert os.listdir(tmp_path / "a" / "b") == []


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "a"):
        with pytest.raises(ConfigError, match=f"cannot write into {path}"):
            make_folder(path)


def test_a_writable_path_is_left_untouched(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    check_writable(target)
    assert os.listdir(tmp_path) == []
    target.write_text("old")
    check_writable(target)
    assert target.read_text() == "old"


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="it is a folder"):
        check_writable(tmp_path)


def test_a_missing_folder_is_refused_before_the_block_runs(tmp_path: Path) -> None:
    ran = []
    with pytest.raises(ConfigError, match="does not exist"), atomic(tmp_path / "no" / "table.csv"):
        ran.append(True)
    assert not ran


def test_a_file_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="does not exist"):
        check_writable(tmp_path / "file" / "table.csv")


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    # permissions do not bind a super-user, so the refusal is staged
    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(ConfigError, match="Permission denied"):
        check_writable(tmp_path / "table.csv")
