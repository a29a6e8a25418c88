"""Downloads: by https alone, checked, put in place whole, with errors that say what to put where."""

from __future__ import annotations

import hashlib
import os
import pty
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path

import pytest

from serving import Server
from spikebayes.data import cifar, hyperspectral, images, uci
from spikebayes.data.fetching import default_folder, fetch_missing
from spikebayes.errors import DataError

CONTENT = b"published" * 20_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def fetch(server: Server, home: Path, path: str = "") -> None:
    fetch_missing(home, {"a.bin": SHA256}, server.url + path)


def test_a_file_comes_whole_and_without_a_word(
    server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (server.folder / "a.bin").write_bytes(CONTENT)
    umask = os.umask(0o022)
    try:
        fetch(server, tmp_path / "home")
    finally:
        os.umask(umask)
    assert (tmp_path / "home" / "a.bin").read_bytes() == CONTENT
    assert (tmp_path / "home" / "a.bin").stat().st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path / "home") == ["a.bin"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_bar_shows_on_a_terminal(server: Server, tmp_path: Path) -> None:
    (server.folder / "a.bin").write_bytes(CONTENT)
    script = (
        "import sys; from pathlib import Path; from spikebayes.data.fetching import fetch_missing\n"
        f"fetch_missing(Path(sys.argv[1]), {{'a.bin': {SHA256!r}}}, {server.url!r})\n"
    )
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    command = [sys.executable, "-c", script, str(tmp_path / "home")]
    with os.fdopen(theirs, "wb") as terminal:
        out = subprocess.run(command, stdout=subprocess.PIPE, stderr=terminal, check=True, timeout=120).stdout
    said = b""
    with os.fdopen(ours, "rb", buffering=0) as screen, suppress(OSError):  # which a terminal's end is
        while part := screen.read(1 << 12):
            said += part
    assert out == b""
    assert b"100%" in said
    assert (tmp_path / "home" / "a.bin").read_bytes() == CONTENT


def test_a_moved_file_is_followed(server: Server, tmp_path: Path) -> None:
    (server.folder / "b.bin").write_bytes(CONTENT)
    server.moved = {"/a.bin": "/b.bin"}
    fetch(server, tmp_path / "home")
    assert (tmp_path / "home" / "a.bin").read_bytes() == CONTENT
    assert server.asked == ["/a.bin", "/b.bin"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "ftp://127.0.0.1:9", "file:///etc", "/etc", ""])
def test_addresses_other_than_https_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(DataError, match=f"^{url}/a.bin is not an https address.*; put a.bin from {url}/ into"):
        fetch_missing(tmp_path, {"a.bin": SHA256}, url)
    assert os.listdir(tmp_path) == []


def test_a_file_moved_to_http_is_refused(server: Server, tmp_path: Path) -> None:
    server.moved = {"/a.bin": "http://127.0.0.1:9/a.bin"}
    with pytest.raises(DataError, match=r"^http://127\.0\.0\.1:9/a\.bin is not an https address"):
        fetch(server, tmp_path / "home")
    assert os.listdir(tmp_path / "home") == []


def test_a_server_that_cannot_prove_who_it_is_is_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    (server.folder / "a.bin").write_bytes(CONTENT)
    with pytest.raises(DataError, match=r"cannot download .*certificate verify failed.*; put a\.bin from"):
        fetch(server, tmp_path / "home")
    assert server.asked == []


def test_a_changed_file_is_not_kept(server: Server, tmp_path: Path) -> None:
    (server.folder / "a.bin").write_bytes(b"changed")
    found = hashlib.sha256(b"changed").hexdigest()
    with pytest.raises(DataError, match=f"a.bin has SHA-256 {found}, not {SHA256}; it was not kept: put a.bin"):
        fetch(server, tmp_path / "home")
    assert os.listdir(tmp_path / "home") == []


def test_publishers_are_asked_by_https_and_known_by_sha256() -> None:
    assert all(
        url.startswith("https://")
        for url in (*images.PUBLISHERS.values(), cifar.PUBLISHER, hyperspectral.PUBLISHER, uci.PUBLISHER)
    )
    known = [cifar.SHA256, hyperspectral.SHA256, *(c for files in images.CHECKSUMS.values() for c in files.values())]
    known += [checksum for files in uci._checksums().values() for checksum in files.values()]
    assert {len(bytes.fromhex(checksum)) for checksum in known} == {32}


def test_without_a_server_the_error_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot download .*Connection refused") as caught:
        fetch_missing(tmp_path, {"a.bin": SHA256}, "https://127.0.0.1:9")
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(f"put a.bin from https://127.0.0.1:9/ into {tmp_path}")


def test_default_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SPIKEBAYES_DATA", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_folder() == tmp_path / ".cache" / "spikebayes"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert default_folder() == tmp_path / "cache" / "spikebayes"
    monkeypatch.setenv("SPIKEBAYES_DATA", "~/sets")
    assert default_folder() == tmp_path / "sets"
