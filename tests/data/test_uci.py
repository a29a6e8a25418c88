"""UCI sets: the published splits are loaded as published, and downloads are checked before they are kept."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from serving import Server
from spikebayes.data.uci import SETS, fetch, load_split
from spikebayes.errors import ConfigError, DataError

SPLIT_0 = {"data.txt", "index_features.txt", "index_target.txt", "index_train_0.txt", "index_test_0.txt"}
ROWS = dict(zip(SETS, [506, 768, 8192, 11934, 45730, 1599, 308], strict=True))


def made_up(folder: Path, **changed: str) -> Path:
    """A set of four rows in the place of yacht; ``changed`` replaces the text of files by stem."""
    home = folder / "uci_regression" / "yacht"
    home.mkdir(parents=True)
    texts = {
        "data": "1 10 5\n2 20 6\n3 30 7\n4 40 8\n",
        "index_features": "0\n2\n",
        "index_target": "1\n",
        "index_train_0": "3\n0\n",
        "index_test_0": "1\n2\n",
    }
    for stem, text in (texts | changed).items():
        (home / f"{stem}.txt").write_text(text)
    return folder


def test_rows_and_columns_are_picked_by_index(tmp_path: Path) -> None:
    split = load_split(made_up(tmp_path), "yacht")
    assert split.x_train.tolist() == [[4.0, 8.0], [1.0, 5.0]]
    assert split.y_train.tolist() == [[40.0], [10.0]]
    assert split.x_test.tolist() == [[2.0, 6.0], [3.0, 7.0]]
    assert split.y_test.tolist() == [[20.0], [30.0]]
    assert {split.x_train.dtype, split.y_test.dtype} == {torch.float32}


@pytest.mark.parametrize(
    ("stem", "text", "message"),
    [
        ("data", "", "data.txt: the file is empty"),
        ("data", "1 10 5\n2 20\n", "data.txt: expected white-space separated numbers"),
        ("data", "1 10 5\n2 x 6\n", "data.txt: expected white-space separated numbers"),
        ("data", "1 10 5\n2 nan 6\n3 1e39 7\n4 40 8\n", "NaN or infinite values on 2 of 4 rows"),
        ("data", "1 10 5\n2 20 6\n", r"index_train_0.txt: indices must lie in 0 .. 1; got 0 .. 3"),
        ("index_features", "0\n3\n", r"index_features.txt: indices must lie in 0 .. 2; got 0 .. 3"),
        ("index_features", "0\n1\n", "one target column beside the features"),
        ("index_target", "1\n2\n", "one target column beside the features"),
        ("index_train_0", "3\n0\n3\n", "index_train_0.txt: an index occurs twice"),
        ("index_train_0", "3\n0.5\n", "index_train_0.txt: expected white-space separated numbers"),
        ("index_test_0", "-1\n2\n", r"got -1 .. 2"),
        ("index_test_0", "1\n3\n", "split 0 has 1 rows in both train and test"),
    ],
)
def test_torn_sets_are_refused(tmp_path: Path, stem: str, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load_split(made_up(tmp_path, **{stem: text}), "yacht")
    assert "\n" not in str(caught.value)


def test_unknown_sets_and_splits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no set 'yatch' \(did you mean 'yacht'\?\)"):
        load_split(tmp_path, "yatch")
    with pytest.raises(ConfigError, match="protein-tertiary-structure has the splits 0 to 4; got 5"):
        load_split(tmp_path, "protein-tertiary-structure", split=5)
    with pytest.raises(ConfigError, match="0 to 19; got -1"):
        load_split(tmp_path, "yacht", split=-1)


@pytest.mark.parametrize("name", SETS)
def test_real_splits_partition_the_published_rows(real: Path, name: str) -> None:
    home = real / "uci_regression" / name
    table = pd.read_csv(home / "data.txt", sep=r"\s+", header=None).to_numpy(np.float32)  # [rows, columns]
    features = [int(line) for line in (home / "index_features.txt").read_text().split()]
    split = load_split(real, name, split=3)
    whole = torch.cat(
        [torch.cat([split.x_train, split.y_train], dim=1), torch.cat([split.x_test, split.y_test], dim=1)]
    )
    target = int((home / "index_target.txt").read_text())
    published = table[:, [*features, target]]
    assert len(whole) == ROWS[name]
    assert np.array_equal(np.sort(whole.numpy(), axis=0), np.sort(published, axis=0))
    rows = np.loadtxt(home / "index_test_3.txt", dtype=int)
    assert np.array_equal(split.y_test[:, 0].numpy(), table[rows, target])


def test_download_takes_five_files_once_and_keeps_them_unchanged(real: Path, tmp_path: Path, server: Server) -> None:
    (tmp_path / "published" / "yacht").mkdir()
    (tmp_path / "published" / "yacht" / "data").symlink_to(real / "uci_regression" / "yacht")
    split = load_split(tmp_path / "cache", "yacht", base_url=server.url)
    home = tmp_path / "cache" / "uci_regression" / "yacht"
    assert {file.name for file in home.iterdir()} == SPLIT_0
    for file in home.iterdir():
        assert file.read_bytes() == (real / "uci_regression" / "yacht" / file.name).read_bytes()
    assert torch.equal(split.x_test, load_split(real, "yacht").x_test)

    load_split(tmp_path / "cache", "yacht", base_url=server.url)
    assert len([line for line in server.asked if "/yacht/data/" in line]) == 5
    fetch(tmp_path / "cache", "yacht", split=1, base_url=server.url)
    assert sum("index_" in line for line in server.asked) == 6
    assert sum("data.txt" in line for line in server.asked) == 1


def test_a_changed_download_is_not_kept(tmp_path: Path, server: Server) -> None:
    published = tmp_path / "published" / "yacht" / "data"
    published.mkdir(parents=True)
    (published / "data.txt").write_text("1 2 3\n")
    found = hashlib.sha256(b"1 2 3\n").hexdigest()
    with pytest.raises(DataError, match=f"has SHA-256 {found}, not 00dfecc0.*not kept"):
        fetch(tmp_path, "yacht", base_url=server.url)
    assert list((tmp_path / "uci_regression" / "yacht").iterdir()) == []


def test_a_failed_download_says_what_to_put_where(tmp_path: Path, server: Server) -> None:
    home = tmp_path / "uci_regression" / "yacht"
    with pytest.raises(DataError, match="404") as caught:
        load_split(tmp_path, "yacht", base_url=server.url)
    message = str(caught.value)
    assert all(file in message for file in SPLIT_0)
    assert str(home) in message
    closed = server.url.replace(str(server.server_port), "1")
    with pytest.raises(DataError, match=r"cannot download .*data\.txt"):
        load_split(tmp_path, "yacht", base_url=closed)
    assert list(home.iterdir()) == []
