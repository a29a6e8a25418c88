"""MNIST, Fashion-MNIST and CIFAR-10, from the files that their publishers give out.

CIFAR-10 is read by ``cifar.py``. Either of the others is a folder of ``train-images-idx3-ubyte.gz``,
``train-labels-idx1-ubyte.gz`` and the same two of ``t10k``. A file is a magic number (0x00000803 for images,
0x00000801 for labels), the sizes, and the bytes; the numbers have four bytes, the highest first. Missing files are
downloaded from the publisher and kept only if their SHA-256 is the known one; existing files are read as they are, so
that a subset of the rows in the same format works too.

References: LeCun, Bottou, Bengio and Haffner, Gradient-Based Learning Applied to Document Recognition, Proc. IEEE
86:2278, 1998; Xiao, Rasul and Vollgraf, Fashion-MNIST, arXiv:1708.07747, 2017.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spikebayes.data import cifar
from spikebayes.data.columns import one_line
from spikebayes.data.fetching import AGAIN, fetch_missing
from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.arguments import checked
from spikebayes.machine.choices import near

PUBLISHERS = {  # of the sets of idx files
    "mnist": "https://ossci-datasets.s3.amazonaws.com/mnist",
    "fashion-mnist": (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/"
        "b2617bb6d3ffa2e429640350f613e3291e10b141/data/fashion"
    ),
}

CHECKSUMS = {  # SHA-256
    "mnist": {
        "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
}

CLASSES: dict[str, tuple[str, ...]] = {
    "mnist": tuple("0123456789"),
    "fashion-mnist": (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
}

SETS = (*CHECKSUMS, cifar.NAME)
#: by set, how many rows were published to train and to test
PUBLISHED_ROWS: dict[str, tuple[int, int]] = {
    **dict.fromkeys(CHECKSUMS, (60000, 10000)),
    cifar.NAME: cifar.PUBLISHED_ROWS,
}
IMAGES, LABELS = 0x00000803, 0x00000801  # magic numbers: unsigned bytes along 3 axes and along 1
SIDE = 28  # pixels, of the images in idx files


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images of ten classes, in the files' order.

    Args:
        name: the set.
        x_train: ``[N, C, H, W]`` float32 in [0, 1], from dark to bright: grey, 1 x 28 x 28, or for CIFAR-10 red,
            green and blue, 3 x 32 x 32.
        y_train: ``[N]`` int64, index of the class.
        x_test: ``[M, C, H, W]`` float32.
        y_test: ``[M]`` int64.
        classes: the ten names.
    """

    name: str
    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    classes: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether it has as many rows as were published, 60000 and 10000; of CIFAR-10 50000 and 10000."""
        return (len(self.y_train), len(self.y_test)) == PUBLISHED_ROWS.get(self.name)


@checked
def load_images(folder: Path, name: str, base_url: str | None = None) -> ImageSet:
    """Load a set; files that the folder lacks are downloaded first.

    Args:
        folder: holds ``mnist/``, ``fashion-mnist/`` and ``cifar10/``; see
            :func:`~spikebayes.data.fetching.default_folder`.
        name: ``"mnist"``, ``"fashion-mnist"`` or ``"cifar10"``.
        base_url: where to download from; the set's publisher by default.

    Returns:
        Whatever rows the files hold; :attr:`ImageSet.complete` tells whether that is all of them.

    Raises:
        ConfigError: an unknown set, or a folder that cannot be written.
        DataError: a download that failed or has another checksum; a file that is torn or holds something else.

    Example:
        >>> from spikebayes.data.fetching import default_folder
        >>> digits = load_images(default_folder(), "mnist")  # doctest: +SKIP
        >>> digits.x_train.shape, digits.complete  # doctest: +SKIP
        (torch.Size([60000, 1, 28, 28]), True)
    """
    if name not in SETS:
        raise ConfigError(f"no set {name!r}{near(name, SETS)}; the sets are {', '.join(SETS)}")
    home = folder / name
    if name == cifar.NAME:
        cifar.fetch(home, base_url or cifar.PUBLISHER)
        return ImageSet(name, *cifar.read(home, cifar.TRAIN), *cifar.read(home, cifar.TEST), cifar.CLASSES)
    fetch_missing(home, CHECKSUMS[name], (base_url or PUBLISHERS[name]).rstrip("/"))
    return ImageSet(name, *_part(home, "train"), *_part(home, "t10k"), CLASSES[name])


def _part(home: Path, part: str) -> tuple[Tensor, Tensor]:
    """Images ``[N, 1, 28, 28]`` float32 in [0, 1] and labels ``[N]`` int64."""
    images, labels = home / f"{part}-images-idx3-ubyte.gz", home / f"{part}-labels-idx1-ubyte.gz"
    pixels, classes = _read_idx(images, IMAGES), _read_idx(labels, LABELS)
    if pixels.shape[1:] != (SIDE, SIDE):
        shape = " x ".join(map(str, pixels.shape[1:]))
        raise DataError(f"{images}: expected images of {SIDE} x {SIDE}; got {shape}; {AGAIN}")
    if len(pixels) != len(classes):
        raise DataError(
            f"{images} has {len(pixels)} images, but {labels.name} has {len(classes)} labels; "
            "delete both to have them downloaded anew"
        )
    if not len(classes):
        raise DataError(f"{images}: it holds no images; {AGAIN}")
    if classes.max() > 9:
        row = int((classes > 9).argmax())
        raise DataError(f"{labels}: labels must lie in 0 .. 9; got {classes[row]} (row {row + 1}); {AGAIN}")
    x = torch.from_numpy(pixels.astype(np.float32)).div_(255)
    return x[:, None], torch.from_numpy(classes.astype(np.int64))


def _read_idx(path: Path, magic: int) -> np.ndarray:
    """``[sizes]`` uint8, read-only; the magic number's last byte is the number of axes."""
    try:
        with gzip.open(path) as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: torn, or not gzip ({one_line(error, 200)}); {AGAIN}") from error
    axes = magic & 0xFF
    start = 4 + 4 * axes
    if len(content) < start:
        raise DataError(f"{path}: it ends within the idx header, after {len(content)} of {start} bytes; {AGAIN}")
    found, *sizes = struct.unpack_from(f">{1 + axes}I", content)
    if found != magic:
        kind = "images" if magic == IMAGES else "labels"
        raise DataError(f"{path}: expected idx {kind}, magic number 0x{magic:08x}; got 0x{found:08x}; {AGAIN}")
    if len(content) - start != math.prod(sizes):
        shape = " x ".join(map(str, sizes))
        raise DataError(f"{path}: {len(content) - start} bytes follow the header, which says {shape}; {AGAIN}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(sizes)
