"""Writing files whole or not at all, and where the user's cache lies."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spikebayes.errors import ConfigError

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)  # a file that was not there, nor a link
SAME = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # what a disk says that takes no more
NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM, errno.EISDIR)  # folders of some file systems

NO_LOCK = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.ENOLCK)


def user_cache() -> Path:
    """The user's folder for what can be made again: $XDG_CACHE_HOME, else ``~/.cache``.

    Raises:
        ConfigError: there is no home folder.
    """
    named = os.environ.get("XDG_CACHE_HOME")
    if named:
        return Path(named)
    try:
        return Path.home() / ".cache"
    except RuntimeError as error:
        raise ConfigError("this user has no home folder; set XDG_CACHE_HOME to a folder to keep files in") from error


def check_writable(path: Path) -> None:
    """Refuse an output path that cannot be written, before any work is done for it.

    Raises:
        ConfigError: the folder is missing, is not a folder, or may not be written to; the path is a folder, a device
            or a pipe, or a file that may only be read.
    """
    _create_beside(path).unlink(missing_ok=True)
    as_opened = os.access in os.supports_effective_ids  # by the user that a program runs as, as in opening
    if path.exists() and not os.access(path, os.W_OK, effective_ids=as_opened):
        raise ConfigError(f"cannot write {path}: it may only be read; give another name, or make it writable")


def check_output(path: Path, inputs: Iterable[Path]) -> None:
    """Refuse an output path that cannot be written, or that is one of the inputs by whatever name.

    Args:
        path: of the file to write.
        inputs: files that are read, and folders of them.

    Raises:
        ConfigError: as :func:`check_writable` says; or the path leads to an input: as it is written, by a link, or as
            a second name of the same file.
    """
    check_writable(path)
    for given in inputs:
        for file in given.rglob("*") if given.is_dir() else [given]:
            if is_same(path, file):
                raise ConfigError(
                    f"cannot write {path}: it is an input ({file}), which would be lost; give another name"
                )


def is_same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file that is there."""
    try:
        return one.samefile(other)
    except (FileNotFoundError, NotADirectoryError):
        return False


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

    What was written is on the disk before it takes the place of what was there: after a kill, a full disk or a power
    cut ``path`` holds the old content or the new one, whole. The temporary name cannot be guessed, and it keeps the
    suffix, so that writers which look at it behave alike.

    Args:
        path: of the file to write. If it is a link, the link is replaced, not the file it leads to.

    Raises:
        ConfigError: ``path`` cannot be written, as :func:`check_writable` says, or the disk is full.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "a.txt"
        >>> with atomic(target) as partial:
        ...     _ = partial.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    partial = _create_beside(path)
    try:
        with suppress(FileNotFoundError):  # it keeps its permissions
            os.chmod(partial, stat.S_IMODE(path.stat().st_mode))
        mode = stat.S_IMODE(partial.lstat().st_mode)  # some writers put a private file there
        yield partial
        _settle(partial, mode)
        os.replace(partial, path)
        _sync_folder(path.parent)
    except Exception as error:
        code = _system_error(error)
        if code in FULL:
            raise ConfigError(f"cannot write {path}: {os.strerror(code)}; make room there, then try again") from error
        raise
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()


@contextmanager
def locked(folder: Path, what: str, wait: bool = False) -> Iterator[None]:
    """Work that one process at a time may do in a folder. A process that ends in any way leaves no lock behind.

    Args:
        folder: it must exist; no file is put in it.
        what: the work, for the message.
        wait: for another process that is at it.

    Raises:
        ConfigError: another process is at it.
    """
    try:
        import fcntl
    except ImportError:  # a system without such locks
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise ConfigError(f"another {what} is running in {folder}; wait for it, or give another folder") from None
        except OSError as error:  # some network file systems lock no folders
            if error.errno not in NO_LOCK:
                raise
        yield
    finally:
        os.close(handle)


def _create_beside(path: Path) -> Path:
    """An empty file in the same folder, of a name that nobody can foresee."""
    partial = path.with_name(f".{path.stem[:40]}.{secrets.token_hex(8)}.partial{path.suffix}")
    try:
        with suppress(FileNotFoundError):
            there = path.stat().st_mode
            if not stat.S_ISREG(there):
                kind = "a folder" if stat.S_ISDIR(there) else "a device or a pipe"
                raise ConfigError(f"cannot write {path}: it is {kind}; give a file name")
        if not path.parent.is_dir():
            raise NotADirectoryError
        os.close(os.open(partial, NEW, 0o666))
    except NotADirectoryError:
        raise ConfigError(f"cannot write {path}: the folder {path.parent} does not exist; make it first") from None
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error
    return partial


def _system_error(error: Exception) -> int | None:
    """The number of a system's error; writers in Rust, such as safetensors', only tell it in words."""
    if isinstance(error, OSError):
        return error.errno
    said = re.search(r"\(os error (\d+)\)", str(error))
    return int(said[1]) if said else None


def _settle(partial: Path, mode: int) -> None:
    """Give the file its permissions and wait until the disk has it."""
    file = os.open(partial, SAME)
    try:
        os.chmod(file if os.chmod in os.supports_fd else partial, mode)
        os.fsync(file)
    finally:
        os.close(file)


def _sync_folder(folder: Path) -> None:
    """Wait until the disk has a folder's new names; where a file system cannot say so, go on."""
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise
