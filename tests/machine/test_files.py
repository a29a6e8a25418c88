"""Files are written whole or not at all."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from spikebayes.data.tables import write_table
from spikebayes.errors import ConfigError
from spikebayes.machine.checked_files import write_json, write_tensors
from spikebayes.machine.files import atomic, check_writable, locked, make_folder, user_cache
from spikebayes.prediction.draw import Draw
from spikebayes.prediction.predictive import Predictive

NOBODY = 65534


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


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    folder = tmp_path
    if os.geteuid() == 0:  # permissions do not bind a super-user, but the kernel's own folder takes no files at all
        folder = Path("/sys")
    else:
        folder.chmod(0o500)
    with pytest.raises(ConfigError, match=f"cannot write {folder}/table.csv: Permission denied"):
        check_writable(folder / "table.csv")


def test_devices_and_pipes_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    for name in ("pipe", "null"):
        with (
            pytest.raises(ConfigError, match=f"cannot write .*{name}: it is a device or a pipe"),
            atomic(tmp_path / name),
        ):
            raise AssertionError("not to be reached")
    assert sorted(os.listdir(tmp_path)) == ["null", "pipe"]


@pytest.fixture
def anyone() -> Iterator[Path]:
    """A folder that everybody may write into, while nobody in particular, root's rights aside, runs the test."""
    with tempfile.TemporaryDirectory(dir=tempfile.gettempdir()) as folder:
        Path(folder).chmod(0o777)
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        if root:
            os.seteuid(NOBODY)
        try:
            yield Path(folder)
        finally:
            if root:
                os.seteuid(0)


def test_a_file_that_may_only_be_read_is_not_replaced(anyone: Path) -> None:
    path = anyone / "p.csv"
    path.write_text("kept")
    check_writable(path)
    path.chmod(0o444)
    with pytest.raises(ConfigError, match="it may only be read; give another name, or make it writable"):
        check_writable(path)
    assert [p.name for p in anyone.iterdir()] == ["p.csv"]
    assert path.read_text() == "kept"


def test_a_name_too_long_is_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="File name too long"):
        check_writable(tmp_path / ("a" * 300 + ".csv"))
    with atomic(tmp_path / ("a" * 250 + ".csv")) as partial:  # as long as a name may be
        partial.write_text("whole")
    assert [len(name) for name in os.listdir(tmp_path)] == [254]


def test_names_of_partial_files_cannot_be_foreseen(tmp_path: Path) -> None:
    names = set()
    for _ in range(3):
        with atomic(tmp_path / "table.csv") as partial:
            names.add(partial.name)
    assert len(names) == 3


def test_a_link_put_in_the_place_of_the_partial_file_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("theirs")
    victim.chmod(0o600)

    def swap() -> None:
        with atomic(tmp_path / "table.csv") as partial:
            partial.unlink()
            partial.symlink_to(victim)

    with pytest.raises(OSError, match="symbolic links"):
        swap()
    assert (victim.read_text(), victim.stat().st_mode & 0o777) == ("theirs", 0o600)
    assert os.listdir(tmp_path) == ["victim"]


WRITERS: dict[str, Callable[[Path], object]] = {
    "a.txt": lambda path: write_text(path, "x" * 300_000),
    "a.json": lambda path: write_json(path, {"a": list(range(40_000))}, "test/1"),
    "a.safetensors": lambda path: write_tensors(path, {"a": torch.zeros(40_000)}),
    "p.safetensors": lambda path: Predictive(torch.zeros(40_000, 1, 1), Draw(0, "row", torch.arange(1))).save(path),
    **{
        f"t.{suffix}": lambda path: write_table(
            pd.DataFrame({"a": np.random.default_rng(0).normal(size=40_000)}), path
        )
        for suffix in ("csv", "parquet", "npz")
    },
}


def write_text(path: Path, text: str) -> None:
    with atomic(path) as partial:
        partial.write_text(text)


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_keeps_the_old_file(tmp_path: Path, name: str) -> None:
    """The system refuses to let a file grow beyond 64 KiB, as a full disk does in the middle of a write."""
    target = tmp_path / name
    target.write_text("old")
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    try:
        with pytest.raises(ConfigError, match=f"cannot write {target}: File too large; make room") as caught:
            WRITERS[name](target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert "\n" not in str(caught.value)
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == [name]
    WRITERS[name](target)
    assert target.stat().st_size > 1 << 16


KILLED = """
import os, signal, sys, time
from pathlib import Path
from spikebayes.machine.files import atomic

target = Path(sys.argv[1])
for moment in range(30):
    target.unlink(missing_ok=True)
    child = os.fork()
    for i in range(10**9 if child == 0 else 0):
        with atomic(target) as partial:
            partial.write_text(f"{i}|" * 20_000)
    while not target.exists():
        time.sleep(0.0001)
    time.sleep(0.0007 * moment)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    parts = target.read_text().split("|")
    print(len(parts), len(set(parts[:-1])))
"""


@pytest.mark.slow
def test_a_kill_keeps_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    """Processes that go on replacing a file are killed at thirty moments."""
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(tmp_path / "a.txt")]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.split("\n") == ["20001 1"] * 30 + [""]


def test_what_is_written_is_on_the_disk_before_it_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is synchronised and renamed, then its folder synchronised."""
    calls: list[tuple[str, str]] = []
    synchronise, rename = os.fsync, os.replace

    def fsync(handle: int) -> None:
        calls.append(("fsync", os.readlink(f"/proc/self/fd/{handle}")))
        synchronise(handle)

    def replace(old: Path, new: Path) -> None:
        calls.append(("rename", str(new)))
        rename(old, new)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    with atomic(tmp_path / "a.txt") as partial:
        partial.write_text("whole")
    assert [what for what, _ in calls] == ["fsync", "rename", "fsync"]
    assert ".partial.txt" in calls[0][1]
    assert [where for _, where in calls[1:]] == [str(tmp_path / "a.txt"), str(tmp_path)]
    assert (tmp_path / "a.txt").read_text() == "whole"


def test_the_cache_lies_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert user_cache() == tmp_path / ".cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    assert user_cache() == tmp_path / "other"


LOCKED = """
import os, signal, sys
from pathlib import Path
from spikebayes.machine.files import locked

with locked(Path(sys.argv[1]), "fit"):
    print("locked", flush=True)
    signal.pause()
"""


@pytest.mark.slow
def test_a_lock_holds_until_its_process_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LOCKED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "locked\n"
            with pytest.raises(ConfigError, match=f"another fit is running in {tmp_path};"), locked(tmp_path, "fit"):
                raise AssertionError("not to be reached")
        finally:
            child.kill()
    for _ in range(2):
        with locked(tmp_path, "fit"):
            pass
    assert os.listdir(tmp_path) == []


def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    target.write_text("old")
    target.chmod(0o600)
    with atomic(target) as partial:
        assert partial.stat().st_mode & 0o777 == 0o600  # nobody else reads it meanwhile
        partial.write_text("new")
    assert target.stat().st_mode & 0o777 == 0o600
