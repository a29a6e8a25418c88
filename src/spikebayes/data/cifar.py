"""CIFAR-10, from the files of its binary version.

A file is records of 3073 bytes, without a header: the label, then 32 x 32 pixels of red, as many of green and of
blue, each row by row from the top. Missing files are taken out of the publisher's archive, whose SHA-256 is known;
files that are there are read as they are, so that a subset of the records does too.

Reference: Krizhevsky, Learning Multiple Layers of Features from Tiny Images, technical report, University of Toronto,
2009.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spikebayes.data.fetching import AGAIN, fetch_members
from spikebayes.errors import DataError

NAME = "cifar10"
PUBLISHER = "https://www.cs.toronto.edu/~kriz"
ARCHIVE = "cifar-10-binary.tar.gz"
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
WITHIN = "cifar-10-batches-bin"  # the archive's folder
TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
TEST = ("test_batch.bin",)
PUBLISHED_ROWS = (50000, 10000)  # for training and for testing
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHAPE = (3, 32, 32)
RECORD = 1 + 3 * 32 * 32  # bytes


def fetch(home: Path, base_url: str = PUBLISHER) -> None:
    """Take the files that ``home`` lacks out of the publisher's archive, 170 MB.

    Args:
        home: folder of the six files, made if need be.
        base_url: the archive is at ``base_url/cifar-10-binary.tar.gz``.

    Raises:
        ConfigError: a folder that cannot be written.
        DataError: a download that failed or has another SHA-256; it says what to put where.
    """
    members = {file: f"{WITHIN}/{file}" for file in (*TRAIN, *TEST)}
    fetch_members(home, members, f"{base_url.rstrip('/')}/{ARCHIVE}", SHA256)


def read(home: Path, files: Sequence[str]) -> tuple[Tensor, Tensor]:
    """The records of some files, one file after another.

    Args:
        home: folder of the files.
        files: their names, :data:`TRAIN` or :data:`TEST`.

    Returns:
        ``[N, 3, 32, 32]`` float32 in [0, 1], red, green, blue; ``[N]`` int64, index of the class.

    Raises:
        DataError: a file that cannot be read, is empty or torn, or holds something else.
    """
    parts = [_records(home / file) for file in files]
    x = torch.empty(sum(map(len, parts)), *SHAPE)
    begin = 0
    for part in parts:
        x[begin : begin + len(part)] = torch.from_numpy(part[:, 1:]).unflatten(1, SHAPE)
        begin += len(part)
    y = np.concatenate([part[:, 0] for part in parts]).astype(np.int64)
    return x.div_(255), torch.from_numpy(y)


def _records(path: Path) -> np.ndarray:
    """``[N, 3073]`` uint8, N >= 1, with labels below 10."""
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError(f"{path}: it cannot be read ({error.strerror})") from error
    if not len(content):
        raise DataError(f"{path}: it holds no images; {AGAIN}")
    if len(content) % RECORD:
        whole, rest = divmod(len(content), RECORD)
        raise DataError(
            f"{path}: torn, or not CIFAR-10: {rest} bytes follow {whole} records of {RECORD} bytes; {AGAIN}"
        )
    records = content.reshape(-1, RECORD)
    labels = records[:, 0]
    if labels.max() > 9:
        row = int((labels > 9).argmax())
        raise DataError(f"{path}: labels must lie in 0 .. 9; got {labels[row]} (row {row + 1}); {AGAIN}")
    return records
