"""A spiking network as a folder: ``network.json`` (what it is) and ``network.safetensors`` (its numbers).

The description is the network's own dataclasses, each as an object with its ``kind``; a tensor is named, and an
operator is numbered, so that what was shared is shared again. Kinds come from a closed vocabulary
(``vocabulary.stored``): loading a file can build nothing else.
"""

from __future__ import annotations

from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import Tensor

from spikebayes.errors import ConfigError, DataError, StoreError
from spikebayes.machine.arguments import checked
from spikebayes.machine.checked_files import read_described, write_described
from spikebayes.machine.fields import check_fields
from spikebayes.machine.files import make_folder
from spikebayes.network.network import SpikingNetwork
from spikebayes.network.operators import Chain, Operator
from spikebayes.network.vocabulary import VOCABULARY

FORMAT = "spikebayes.network/1"
NAME, DESCRIPTION, TENSORS = "network", "network.json", "network.safetensors"


@checked
def save_network(network: SpikingNetwork, folder: str | Path) -> None:
    """Write a network; the folder is made if it is not there.

    Raises:
        StoreError: a part of it is of a class that is not registered (``vocabulary.stored``), or of another type than
            its class takes.
        ConfigError: the folder cannot be written.
    """
    folder, writer = Path(folder), _Writer()
    description = {
        "spikebayes": version("spikebayes"),
        "network": writer.pack(network, ""),
        "operators": writer.operators,
    }
    make_folder(folder)
    write_described(folder, NAME, description, writer.tensors, FORMAT)


@checked
def load_network(folder: str | Path) -> SpikingNetwork:
    """Read what :func:`save_network` wrote; simulations give the same bits.

    Raises:
        StoreError: a file is missing, torn, edited, of another format or a newer version, or inconsistent.

    Example:
        >>> import tempfile, torch
        >>> from spikebayes import convert, nn as sbnn
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), sbnn.SoftLIF(), torch.nn.Linear(8, 1))
        >>> network = convert(model, torch.zeros(1, 4))
        >>> folder = Path(tempfile.mkdtemp())
        >>> save_network(network, folder)
        >>> repr(load_network(folder)) == repr(network)
        True
    """
    folder = Path(folder)
    path = folder / DESCRIPTION
    stored, tensors = read_described(folder, NAME, FORMAT)
    reader = _Reader(tensors)
    try:
        for operator in stored["operators"]:
            reader.operators.append(reader.unpack(operator))
        network = reader.unpack(stored["network"])
    except (StoreError, ConfigError, DataError) as error:
        raise StoreError(f"{path} is inconsistent: {' '.join(str(error).split())}") from error
    except KeyError as error:
        raise StoreError(f"{path} is incomplete: {error} is missing") from error
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise StoreError(f"{path} is inconsistent: {str(error).splitlines()[0]}") from error
    if not isinstance(network, SpikingNetwork):
        raise StoreError(f"{path} is inconsistent: it describes no network")
    return network


class _Writer:
    """Turns a network into what JSON can express, setting tensors and operators aside."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.operators: list[dict[str, Any]] = []
        self.index: dict[Operator, int] = {}

    def pack(self, value: Any, name: str) -> Any:
        """The value as JSON; ``name`` is its place, which names the tensors in it."""
        if isinstance(value, Tensor):
            self.tensors[name] = value
            return {"tensor": name}
        if isinstance(value, tuple | list):
            return [self.pack(item, _join(name, i)) for i, item in enumerate(value)]
        if VOCABULARY.get(type(value).__name__) is type(value):
            if isinstance(value, Operator):
                return {"operator": self._operator(value)}
            return self._tagged(value, {f.name: getattr(value, f.name) for f in fields(value) if f.init}, name)
        if value is None or isinstance(value, str | bool | int | float):
            return value
        raise StoreError(
            f"{type(value).__name__} cannot be stored: it is no part of a network that files know; "
            "register its class with the decorator spikebayes.network.vocabulary.stored"
        )

    def _tagged(self, value: Any, arguments: dict[str, Any], name: str) -> dict[str, Any]:
        check_fields(type(value), arguments)  # what is written can be read
        return {"kind": type(value).__name__} | {k: self.pack(v, _join(name, k)) for k, v in arguments.items()}

    def _operator(self, operator: Operator) -> int:
        if operator not in self.index:
            arguments = operator.config() | dict(operator.named_buffers(recurse=False))
            if isinstance(operator, Chain):
                arguments["operators"] = tuple(operator.operators)
                for part in operator.operators:
                    self.pack(part, "")  # the parts come before the chain
            self.index[operator] = len(self.operators)
            self.operators.append(self._tagged(operator, arguments, f"operators.{len(self.operators)}"))
        return self.index[operator]


class _Reader:
    """The way back."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.tensors = tensors
        self.operators: list[Operator] = []

    def unpack(self, value: Any) -> Any:
        if isinstance(value, list):
            return tuple(self.unpack(item) for item in value)
        if not isinstance(value, dict):
            return value
        if value.keys() == {"tensor"}:
            if value["tensor"] not in self.tensors:
                raise StoreError(f"the tensor {value['tensor']!r} is missing from {TENSORS}")
            return self.tensors[value["tensor"]]
        if value.keys() == {"operator"}:
            if value["operator"] not in range(len(self.operators)):
                raise StoreError(f"there is no operator {value['operator']!r} before its use")
            return self.operators[value["operator"]]
        kind = value["kind"]
        if kind not in VOCABULARY:
            raise StoreError(
                f"kind {kind!r} is unknown; upgrade spikebayes, or import the module that registers a class so named"
            )
        arguments = {k: self.unpack(v) for k, v in value.items() if k != "kind"}
        check_fields(VOCABULARY[kind], arguments)
        return VOCABULARY[kind](**arguments)


def _join(name: str, part: str | int) -> str:
    return f"{name}.{part}" if name else str(part)
