"""Files that know themselves again: JSON that names its format, tensors, both in a pair, and tensors with a header.

They are written whole and carry a checksum, so that a torn or edited file is refused instead of being half read.
Reading executes no code from a file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save_file
from torch import Tensor

from spikebayes.errors import StoreError
from spikebayes.machine.files import atomic

_FORMAT, _CHECKSUM, _TENSORS = "format", "checksum", "tensors_sha256"  # keys that are added here


def write_json(path: Path, obj: Mapping[str, Any], format: str) -> None:
    """Write a JSON object under a format, ``"name/version"``.

    Raises:
        StoreError: it holds something JSON cannot express (NaN and infinity included).
        ConfigError: the path cannot be written.
    """
    try:
        plain = json.loads(json.dumps(dict(obj), allow_nan=False))  # what reading will give back
        if {_FORMAT, _CHECKSUM} & plain.keys():
            raise ValueError(f"the keys {_FORMAT!r} and {_CHECKSUM!r} are taken")
    except (TypeError, ValueError) as error:
        raise StoreError(f"cannot write {path}: {error}") from error
    text = json.dumps({_FORMAT: format, _CHECKSUM: _digest(plain, format), **plain}, indent=1)
    with atomic(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path, format: str) -> dict[str, Any]:
    """The object that :func:`write_json` wrote under the same format.

    Raises:
        StoreError: the file is missing, unreadable, not JSON, edited, or of another format or a newer version.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.json"
        >>> write_json(path, {"dt": 0.001}, "example/1")
        >>> read_json(path, "example/1")
        {'dt': 0.001}
    """
    try:
        obj = json.loads(_bytes(path))
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path} is not a JSON file, or is cut short: {error}") from error
    if not isinstance(obj, dict) or not isinstance(obj.get(_FORMAT), str):
        raise StoreError(f"{path} does not say its format; expected {format}")
    found = obj.pop(_FORMAT)
    if found != format:
        name, _, version = format.partition("/")
        same, _, other = found.partition("/")
        newer = same == name and other.isdecimal() and version.isdecimal() and int(other) > int(version)
        advice = "; it was written by a newer spikebayes, so upgrade to read it" if newer else ""
        raise StoreError(f"{path} has format {found!r}, but {format!r} is expected{advice}")
    if obj.pop(_CHECKSUM, None) != _digest(obj, format):
        raise StoreError(f"{path} was edited after it was written: its checksum does not fit")
    return obj


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write named tensors as one safetensors file.

    Returns:
        SHA-256 of the file, in hexadecimal; :func:`read_tensors` asks for it.

    Raises:
        ConfigError: the path cannot be written.
    """
    own = {k: t.detach().cpu().clone(memory_format=torch.contiguous_format) for k, t in tensors.items()}
    with atomic(path) as partial:
        save_file(own, partial)
        with partial.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def read_tensors(path: Path, sha256: str) -> dict[str, Tensor]:
    """The tensors that :func:`write_tensors` wrote.

    Raises:
        StoreError: the file is missing, torn, or not the one with this checksum.
    """
    data = _bytes(path)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise StoreError(f"{path} is torn, edited or from another run: its checksum does not fit")
    try:
        return load(data)
    except SafetensorError as error:
        raise StoreError(f"{path} is not a tensor file: {error}") from error


def write_described(
    folder: Path, name: str, description: Mapping[str, Any], tensors: Mapping[str, Tensor], format: str
) -> None:
    """Write ``NAME.json``, a description, and ``NAME.safetensors``, the tensors that it describes.

    Whoever reads meanwhile, and whoever comes after a kill at any moment, finds a description with its tensors: what
    was there before, or the new. New tensors wait under a name of their own for their description.

    Raises:
        StoreError: the description holds something JSON cannot express.
        ConfigError: the folder cannot be written, or the disk is full; then what was there is there still.
    """
    _move_in(folder, name, format)  # tensors whose writer was stopped
    checksum = write_tensors(_places(folder, name)[2], tensors)
    try:
        write_json(folder / f"{name}.json", {**description, _TENSORS: checksum}, format)
    finally:
        _move_in(folder, name, format)


def read_described(folder: Path, name: str, format: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The description and the tensors that :func:`write_described` wrote.

    Raises:
        StoreError: either file is missing, torn, edited, of another format or of another description.
    """
    path, *places = _places(folder, name)
    stored = read_json(path, format)
    if _TENSORS not in stored:
        raise StoreError(f"{path} is damaged: {_TENSORS!r} is missing, so its checksum does not fit")
    while True:
        for place in (*places, places[0]):  # the waiting ones may move in meanwhile
            with suppress(StoreError):
                return stored, read_tensors(place, stored[_TENSORS])
        before, stored = stored, read_json(path, format)
        if stored == before:  # no writer is at work
            return stored, read_tensors(places[0], stored[_TENSORS])


def write_sealed(
    path: Path, name: str, header: Mapping[str, Any], tensors: Mapping[str, Tensor], format: str
) -> None:
    """Write tensors with a header, JSON values under a name, and a checksum of all as one safetensors file.

    Raises:
        TypeError: a header that JSON cannot express.
        ConfigError: the path cannot be written.
    """
    text = json.dumps(dict(header))
    own = {k: t.detach().cpu().contiguous() for k, t in tensors.items()}
    metadata = {_FORMAT: format, name: text, _CHECKSUM: _seal(text, own, format)}
    with atomic(path) as partial:
        save_file(own, partial, metadata=metadata)


def read_sealed(path: Path, name: str, format: str, before: str = "") -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The header and the tensors that :func:`write_sealed` wrote.

    Args:
        before: a format that is read too, of files from before there was a checksum.

    Raises:
        StoreError: the file is missing, torn, edited or of another format.
    """
    try:
        with safe_open(path, framework="pt") as file:  # pyright: ignore[reportPrivateImportUsage]
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        found, text, checksum = metadata.get(_FORMAT, "none"), metadata.get(name, ""), metadata.get(_CHECKSUM)
        if found not in (format, before):
            raise StoreError(f"{path} has format {found!r}, but {format!r} is expected")
        if (found, checksum) != (before, None) and checksum != _seal(text, tensors, found):
            raise StoreError(f"{path} was torn or edited after it was written: its checksum does not fit")
        header = json.loads(text)
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise StoreError(f"cannot read {path}: it is missing, damaged or not such a file ({error})") from error
    if not isinstance(header, dict):
        raise StoreError(f"{path} was edited: its header is not an object")
    return header, tensors


def _seal(text: str, tensors: Mapping[str, Tensor], format: str) -> str:
    """SHA-256 of all that a file says, in hexadecimal."""
    found = hashlib.sha256(json.dumps([format, text]).encode())
    for name, tensor in sorted(tensors.items()):
        found.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        found.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()


def _places(folder: Path, name: str) -> tuple[Path, Path, Path]:
    """Where the description is, where its tensors are, and where new ones wait for theirs."""
    return folder / f"{name}.json", folder / f"{name}.safetensors", folder / f"{name}.next.safetensors"


def _move_in(folder: Path, name: str, format: str) -> None:
    """Put waiting tensors in their place if the description is theirs; others are of no use."""
    path, place, waiting = _places(folder, name)
    with suppress(StoreError):
        if read_json(path, format).get(_TENSORS) == hashlib.sha256(_bytes(waiting)).hexdigest():
            os.replace(waiting, place)
    waiting.unlink(missing_ok=True)


def is_ours(path: Path) -> bool:
    """Whether a file is JSON that this library wrote, of whatever format and version."""
    return format_of(path).startswith(f"{__name__.partition('.')[0]}.")


def format_of(path: Path) -> str:
    """The format that a JSON file says it has; empty if it is none that says so."""
    try:
        return str(json.loads(_bytes(path))[_FORMAT])
    except (StoreError, ValueError, RecursionError, LookupError, TypeError):
        return ""


def _digest(obj: dict[str, Any], format: str) -> str:
    return hashlib.sha256(json.dumps([format, obj], sort_keys=True).encode()).hexdigest()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise StoreError(f"{path} is missing") from None
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
