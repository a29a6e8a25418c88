"""Writing files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spikebayes.errors import ConfigError


def check_writable(path: Path) -> None:
    """Refuse an output path that cannot be written, before any work is done for it.

    Raises:
        ConfigError: the folder is missing, is not a folder, or may not be written to.
    """
    folder = path.parent
    if path.is_dir():
        raise ConfigError(f"cannot write {path}: it is a folder; give a file name")
    if not folder.is_dir():
        raise ConfigError(f"cannot write {path}: the folder {folder} does not exist")
    try:
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error
    os.close(handle)
    os.unlink(name)


def make_folder(path: Path) -> None:
    """A folder to write into, made if need be.

    Raises:
        ConfigError: it cannot be made, or may not be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot write into {path}: {error.strerror}") from error
    check_writable(path / "file")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends without an error.

    The temporary name keeps the suffix, so that writers which look at it behave alike.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "a.txt"
        >>> with atomic(target) as partial:
        ...     _ = partial.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    check_writable(path)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        partial.touch()
        mode = partial.stat().st_mode  # what the umask allows; some writers put a private file in its place
        yield partial
        partial.chmod(mode)
        os.replace(partial, path)
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()
