"""The commit that results name: this project's, or none; and where it is not the code that ran."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from spikebayes.errors import ConfigError
from studies.tree import ROOT, Tree, check_committed, tree

PYPROJECT = '[project]\nname = "spikebayes"\n'


def git(folder: Path, *arguments: str) -> str:
    author = ["-c", "user.name=A Tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", *author, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def commit(folder: Path) -> str:
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "all of it")
    return git(folder, "rev-parse", "HEAD")


def project(folder: Path) -> Path:
    """What makes a folder this project, its files empty."""
    for name in ("src/spikebayes/__init__.py", "studies/tree.py", "results/r.json", "docs/r.md", "README.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / ".gitignore").write_text("*.log\n")
    return folder


def of(folder: Path) -> Tree:
    return tree(folder, folder / "src" / "spikebayes")


def test_a_clean_tree_is_its_commit(tmp_path: Path) -> None:
    head = commit(project(tmp_path))
    assert of(tmp_path) == Tree(head)
    assert of(tmp_path).label == head


@pytest.mark.parametrize(
    ("changed", "counts"),
    [
        ("src/spikebayes/__init__.py", True),
        ("README.md", True),
        ("pyproject.toml", True),
        ("src/spikebayes/new.py", True),  # code that git does not know
        ("studies/new folder/new.py", True),
        ("results/r.json", False),  # what studies write
        ("docs/r.md", False),
        ("results/new.json", False),
        ("notes.txt", False),
        ("src/run.log", False),
    ],
)
def test_what_counts_as_a_change(tmp_path: Path, changed: str, counts: bool) -> None:
    head = commit(project(tmp_path))
    path = tmp_path / changed
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as opened:
        opened.write("# more")
    assert of(tmp_path) == Tree(head, (changed,) if counts else ())
    assert of(tmp_path).label == (f"{head}+changes" if counts else head)


def test_what_is_renamed_staged_or_deleted_is_changed(tmp_path: Path) -> None:
    commit(project(tmp_path))
    git(tmp_path, "mv", "README.md", "README.txt")
    (tmp_path / "src/spikebayes/__init__.py").unlink()
    assert of(tmp_path).changes == ("README.md", "README.txt", "src/spikebayes/__init__.py")


def test_a_library_from_elsewhere_is_not_the_commit(tmp_path: Path) -> None:
    head = commit(project(tmp_path))
    assert tree(tmp_path, tmp_path / "site-packages" / "spikebayes") == Tree(
        head, (f"spikebayes imported from {tmp_path / 'site-packages' / 'spikebayes'}",)
    )


def test_no_repository_no_commit(tmp_path: Path) -> None:
    assert of(project(tmp_path)) == Tree(None)
    assert of(tmp_path).label is None


@pytest.mark.parametrize("own_name", [False, True])
def test_another_repository_around_it_is_not_its_own(tmp_path: Path, own_name: bool) -> None:
    inside = project(tmp_path / "vendored" / "spikebayes")
    if own_name:
        (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    commit(tmp_path)
    assert of(inside) == Tree(None)


def test_another_project_in_the_same_folder_is_not_this_one(tmp_path: Path) -> None:
    project(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "another"\n')
    commit(tmp_path)
    assert of(tmp_path) == Tree(None)


def test_a_repository_that_does_not_know_the_file_is_not_its_own(tmp_path: Path) -> None:
    project(tmp_path)
    (tmp_path / ".gitignore").write_text("studies/\n")
    commit(tmp_path)
    assert of(tmp_path) == Tree(None)


def test_variables_of_a_hook_do_not_lead_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, elsewhere = project(tmp_path / "here"), project(tmp_path / "elsewhere")
    (elsewhere / "README.md").write_text("another")
    head, other = commit(here), commit(elsewhere)
    assert head != other
    monkeypatch.setenv("GIT_DIR", str(elsewhere / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(elsewhere))
    assert of(here) == Tree(head)


def test_no_git_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(project(tmp_path))
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    assert of(tmp_path) == Tree(None)


# -- the project's own results -----------------------------------------------------------------------------

CHANGED = Tree("abc", ("src/a.py", "src/b.py", "src/c.py", "src/d.py", "src/e.py"))


def test_changed_code_does_not_write_into_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    says = r"not committed: src/a\.py, src/b\.py, src/c\.py and 2 more\. Commit first, or .*: --results FOLDER"
    with pytest.raises(ConfigError, match=says):
        check_committed(ROOT / "results" / "x.json", CHANGED)
    monkeypatch.chdir(ROOT / "docs")
    with pytest.raises(ConfigError, match="not committed"):
        check_committed(Path("../results/x.json"), CHANGED)
    (tmp_path / "link").symlink_to(ROOT / "results")
    with pytest.raises(ConfigError, match="not committed"):
        check_committed(tmp_path / "link" / "x.json", CHANGED)


def test_elsewhere_and_committed_code_are_free(tmp_path: Path) -> None:
    check_committed(tmp_path / "results" / "x.json", CHANGED)
    check_committed(ROOT / "results" / "x.json", Tree("abc"))
    check_committed(ROOT / "results" / "x.json", Tree(None))
