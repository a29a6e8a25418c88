"""Compiled kernels, kept on disk for the next process: they are found again only as long as nothing they are made of
has changed.

numba's own cache looks at the file that holds a kernel, not at those whose functions and constants went into it. Here
a kernel is kept under a digest of every source it can depend on: its file, what this file imports of its package, and
so on; of the versions of Python, numba, llvmlite and NumPy; and of the processor. Each kernel and signature is a file
of its own, written whole, with a checksum: processes may compile at once, and a torn file is compiled anew.

Kernels lie in ``spikebayes/kernels`` in $NUMBA_CACHE_DIR, else in the user's cache folder. What has not been used for
sixty days is removed when something new is compiled. Where nothing can be kept, that is said once.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import pickle
import re
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FunctionType
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core import config, event
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from spikebayes.errors import ConfigError
from spikebayes.machine.compiling import Compilations
from spikebayes.machine.files import atomic, user_cache

KEPT = 60 * 86400.0  # seconds after its last use at which a folder of kernels may go
CHECKSUM = hashlib.sha256().digest_size  # bytes that a file begins with
PACKAGE = __name__.partition(".")[0]
SETTINGS = ("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "USING_SVML", "DEBUGINFO_DEFAULT")  # of numba
IMPORT = re.compile(  # what follows "from", and the names
    r"^[ \t]*(?:from\s+(\S+)\s+)?import\s+(\((?:[^)#]|#[^\n]*)*\)|(?:[^\n\\]|\\\n)*)", re.MULTILINE
)
NAME = re.compile(r"[\w.-]+-[0-9a-f]{16}")  # of a folder of kernels
_said: list[str] = []  # why kernels cannot be kept
event.register("numba:compile", Compilations(PACKAGE))


def compiled(**options: Any) -> Callable[[Any], Any]:
    """``numba.njit`` whose machine code is kept for the next process.

    Args:
        options: those of ``numba.njit``.

    Raises:
        ValueError: the function refers to variables of another function, which are not in any source.

    Example:
        >>> @compiled(nogil=True)
        ... def twice(x):
        ...     return 2 * x
        >>> twice(21)
        42
    """

    def decorate(function: Any) -> Any:
        if function.__closure__:
            names = ", ".join(function.__code__.co_freevars)
            raise ValueError(f"{function.__qualname__} uses {names} of an enclosing function; a kept kernel may not")
        kernel: Any = numba.njit(**options)(function)
        if kernel is not function:  # which it is where numba is switched off
            kernel._cache = KernelCache(function)
        return kernel

    return decorate


class KernelCache(_Cache):
    """Where numba looks for a kernel before it compiles it, and puts it afterwards."""

    def __init__(self, function: FunctionType) -> None:
        module, name = function.__module__, function.__qualname__.replace("<locals>", "")
        self.name: str = f"{name}-{function.__code__.co_firstlineno}"
        in_file = str(_file(module)) == function.__code__.co_filename  # and not typed in, or made up
        digest = sources_digest(module) if in_file else None  # now: what is compiled later was imported now
        self.folder: str | None = None if digest is None else f"{module}-{digest[:16]}"
        self.enabled: bool = True

    @property
    def cache_path(self) -> Any:
        """The folder that holds the kernel, once there is one; None where it cannot be kept."""
        return None if self.folder is None else str(kernels_folder() / self.folder)

    def enable(self) -> None:
        self.enabled = True

    def disable(self) -> None:
        self.enabled = False

    def flush(self) -> None:
        """Forget this function's kernels."""
        if self.folder is not None:
            for path in (kernels_folder() / self.folder).glob(f"{self.name}-*"):
                path.unlink(missing_ok=True)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The kernel for a signature as a CompileResult, if it is kept and whole, else None."""
        if not self.enabled or self.folder is None:
            return None
        target_context.refresh()
        try:
            path = self._path(sig, target_context.codegen())
            kept = _unsealed(path.read_bytes(), path.name)
        except (OSError, ConfigError):
            return None
        if kept is None:
            return None
        with suppress(OSError):  # where kernels may be read but not written
            os.utime(path.parent)
        return CompileResult._rebuild(target_context, *pickle.loads(kept))

    def save_overload(self, sig: Any, data: CompileResult) -> None:
        """Keep a kernel, if its code means the same in another process.

        Raises:
            KeyboardInterrupt: it came while machine code was made, in a callback of LLVM that swallowed it. The
                kernel can be used, but what would be kept is lost: the next process compiles it.
        """
        if data.library._compiled_object is None:
            raise KeyboardInterrupt
        own_process = data.library.has_dynamic_globals or any(not part.can_cache for part in data.lifted)
        if not self.enabled or self.folder is None or own_process:
            return
        try:
            path = self._path(sig, data.codegen)
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic(path) as partial:
                partial.write_bytes(_sealed(dumps(data._reduce()), path.name))
            _tidy(path.parent.parent)
        except (OSError, ConfigError) as error:
            _say_once(str(error))

    def _path(self, sig: Any, codegen: Any) -> Path:
        assert self.folder is not None
        key = hashlib.sha256(repr((sig, codegen.magic_tuple())).encode()).hexdigest()
        return kernels_folder() / self.folder / f"{self.name}-{key[:32]}"


def kernels_folder() -> Path:
    """What holds the folders of kernels.

    Raises:
        ConfigError: there is no home folder.
    """
    named = config.CACHE_DIR  # pyright: ignore[reportAttributeAccessIssue]
    return (Path(named) if named else user_cache()) / "spikebayes" / "kernels"


def sources_digest(module: str) -> str | None:
    """A digest of all that a module's kernels depend on, but for the processor; None if a source is not to be had.

    Args:
        module: the name of an imported module. What it imports of its own package and of this one is followed, even
            from within functions: what is followed in vain costs a needless compilation, what is missed would cost
            wrong results.
    """
    packages, found, to_read = {PACKAGE, module.partition(".")[0]}, dict[str, str](), [module]
    try:
        while to_read:
            name = to_read.pop()
            path = _file(name)
            if name in found or path is None:
                continue
            at = path.stat()
            found[name], imported = _source(path, name, at.st_mtime_ns, at.st_size)
            if name != __name__:  # how kernels are kept changes none of them
                to_read.extend(other for other in imported if other.partition(".")[0] in packages)
    except (OSError, UnicodeError):
        return None
    if module not in found:
        return None
    versions = (sys.version, numba.__version__, llvmlite.__version__, np.__version__)
    settings = [getattr(config, name, None) for name in SETTINGS]
    return hashlib.sha256(repr((versions, settings, sorted(found.items()))).encode()).hexdigest()


@functools.cache
def _source(path: Path, module: str, changed: int, size: int) -> tuple[str, tuple[str, ...]]:
    """The digest of a source, and what it imports; time and size tell whether it is still the same."""
    content = path.read_bytes()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return hashlib.sha256(content).hexdigest(), tuple(_imported(content.decode(), package))


def _imported(text: str, package: str) -> Iterator[str]:
    """Names that import statements may mean: ``from a import b`` is a module ``a`` and perhaps one ``a.b``."""
    for origin, names in IMPORT.findall(text):
        words = re.findall(r"[\w.]+", re.sub(r"#.*", "", names))
        if not origin:
            yield from words
            continue
        with suppress(ImportError):
            origin = importlib.util.resolve_name(origin, package)
            yield origin
            yield from (f"{origin}.{word}" for word in words)


@functools.cache
def _file(name: str) -> Path | None:
    """The source of a module, imported or not, of a package that is; None for what is no module."""
    top, *parts = name.split(".")
    start = getattr(sys.modules.get(top), "__file__", None)
    if start is None:
        return None
    whole = Path(start).parent.joinpath(*parts)
    choices = (whole.with_name(f"{whole.name}.py"), whole / "__init__.py") if parts else (Path(start),)
    return next((path for path in choices if path.is_file()), None)


def _sealed(content: bytes, name: str) -> bytes:
    return hashlib.sha256(name.encode() + content).digest() + content


def _unsealed(sealed: bytes, name: str) -> bytes | None:
    """What was sealed under the same name, or None: torn, or another file's."""
    content = sealed[CHECKSUM:]
    return content if sealed == _sealed(content, name) else None


def _tidy(folder: Path) -> None:
    """Remove folders of kernels that nobody has used for long."""
    with suppress(OSError):
        for other in folder.iterdir():
            if NAME.fullmatch(other.name) and time.time() - other.stat().st_mtime > KEPT:
                shutil.rmtree(other, ignore_errors=True)


def _say_once(reason: str) -> None:
    if _said:
        return
    _said.append(reason)
    message = (
        f"compiled kernels cannot be kept ({reason}), so every process has to compile them; "
        "set NUMBA_CACHE_DIR to a folder that can be written"
    )
    warnings.warn_explicit(message, RuntimeWarning, f"<{PACKAGE}>", 1)  # one line: there is no source to show
