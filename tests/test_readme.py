"""README.md reads anywhere: its links are absolute, under one address, and lead to files that are there."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs" / "guide").glob("*.md"))
LINK = re.compile(r"\]\(([^)\s]*)\)")


def address(folder: Path) -> str:
    return tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]["urls"]["Homepage"]


def missing(links: list[str], base: str) -> list[str]:
    """Links under the address that lead to no file of the repository."""
    below = [link.removeprefix(base) for link in links if link.startswith(base)]
    places = [re.fullmatch(r"/(?:blob|raw)/main/([^#]+)(?:#.*)?", link) for link in below if link]
    return [str(at) for at in places if at is None or not (ROOT / at[1]).is_file()]


def test_links_are_absolute_and_lead_to_files() -> None:
    links, base = LINK.findall(README.read_text("utf-8")), address(ROOT)
    assert [link for link in links if not link.startswith("https://")] == []
    assert [link for link in links if re.search("/(blob|raw)/main/", link) and not link.startswith(f"{base}/")] == []
    assert missing(links, base) == []
    assert [base in link for link in links].count(True) > 10


def test_pictures_come_as_they_are_and_pages_as_pages() -> None:
    for mark, link in re.findall(r"(!?)\[[^\]]*\]\(([^)\s]*)\)", README.read_text("utf-8")):
        assert ("/raw/main/" in link) == bool(mark)
        assert link.endswith(".svg") == bool(mark)


def test_the_addresses_of_the_package_lead_to_files() -> None:
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["urls"].values()
    assert missing(list(urls), address(ROOT)) == []
    assert all(url.startswith(address(ROOT)) for url in urls)


def test_a_link_to_nothing_is_found() -> None:
    base = address(ROOT)
    links = [f"{base}/blob/main/docs/none.md", f"{base}/tree/docs", f"{base}/raw/main/LICENSE", base]
    assert len(missing(links, base)) == 2


@pytest.mark.skipif(shutil.which("sed") is None, reason="there is no sed here")
def test_one_command_changes_the_address(tmp_path: Path) -> None:
    (command,) = re.findall(r"^sed .*$", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.MULTILINE)
    files = [word for word in shlex.split(command) if (ROOT / word).is_file()]
    for name in files:
        shutil.copy(ROOT / name, tmp_path)
    subprocess.run(shlex.split(command), cwd=tmp_path, check=True)
    assert address(tmp_path) == "https://github.com/OWNER/NAME"
    for name in files:
        assert address(ROOT) not in (tmp_path / name).read_text("utf-8")
    holds = [path for path in ROOT.glob("*") if path.is_file() and address(ROOT).encode() in path.read_bytes()]
    assert {path.name for path in holds} <= set(files)


def test_it_is_read_in_a_minute() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= 130


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_of_the_guide_lead_to_files(page: Path) -> None:
    for link in LINK.findall(page.read_text("utf-8")):
        assert link.startswith("https://") or (page.parent / link.split("#")[0]).is_file(), link
