"""A publisher on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from serving import Server, serving


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server of ``tmp_path / "published"``, whose certificate is trusted."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    with serving(tmp_path / "published", tmp_path / "authority.pem") as running:
        yield running
