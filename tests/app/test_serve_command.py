"""``spikebayes serve``: what it refuses before it serves. What it serves, tests/app/server says."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from problems import table
from served import untrained
from spikebayes.app.cli import main
from spikebayes.app.run_folder import save_run
from spikebayes.app.server.listening import listening, url_of
from spikebayes.errors import ConfigError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a run in it."""
    save_run(untrained(table()[["a", "b", "y"]], "y"), tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--host", "0.0.0.0"], "other machines can reach 0.0.0.0, and no token protects it: give --token"),
        (["--host", "::"], "other machines can reach ::"),
        (["--host", "no.such.host.invalid"], "there is no host 'no.such.host.invalid'"),
        (["--port", "70000"], "port must lie in 0..65535; got 70000"),
        (["--host", "0.0.0.0", "--token", ""], "no token protects it"),
        (["--token", "open sesame"], "without spaces"),
        (["--port", "0", "--max-rows", "0"], "max_rows must be a whole number, at least 1"),
        (["--port", "0", "--max-body", "0"], "max_body must be a positive number; got 0"),
        (["--port", "0", "--max-seconds", "nan"], "max_seconds must be a positive number"),
        (["--port", "0", "--samples", "2000"], "samples must be at most 1,000; got 2,000"),
        (["--port", "0", "--seed", "-1"], "seed"),
        (["--port", "0", "--coverage", "2"], "coverage must lie in (0, 1)"),
        (["--port", "0", "--code", "Digits"], "code must be written as"),
    ],
)
def test_what_is_refused(here: Path, refused: Callable[..., str], given: list[str], says: str) -> None:
    refused("serve", "run", *given, says=says)


def test_a_run_that_is_not_there(here: Path, refused: Callable[..., str]) -> None:
    refused("serve", "ran", "--port", "0", says="there is no run folder ran")


def test_a_port_that_is_taken(here: Path, refused: Callable[..., str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused("serve", "run", "--port", str(port), says=f"cannot listen at 127.0.0.1, port {port}: Address already")


def test_without_the_extra_it_says_what_to_install(
    here: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("spikebayes.app.server.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    refused("serve", "run", says="pip install 'spikebayes[serve]'")


def test_a_token_is_never_printed(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPIKEBAYES_TOKEN", "sesame")
    assert main(["serve", "run", "--token", "sesame", "--print-config"]) == 0
    assert main(["serve", "--help"]) == 0
    said = "".join(capsys.readouterr())
    assert "sesame" not in said
    assert yaml.safe_load(said.partition("Usage")[0])["port"] == 8080


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
def test_this_machine_alone_needs_no_token(host: str) -> None:
    with listening(host, 0, guarded=False) as listener:
        assert url_of(listener).startswith("http://127.0.0.")
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)  # else answers wait for 40 ms


def test_others_need_one() -> None:
    with listening("0.0.0.0", 0, guarded=True) as listener:
        assert url_of(listener).startswith("http://0.0.0.0:")
    with pytest.raises(ConfigError, match="no token"):
        listening("0.0.0.0", 0, guarded=False)
