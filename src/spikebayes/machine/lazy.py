"""Public names of a package that are imported when they are first asked for."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from spikebayes.machine.extras import needed


class _Package(ModuleType):
    """A package some of whose names wait in modules that are slow to import."""

    def __getattr__(self, name: str) -> Any:
        homes, rooms = self.__dict__["_homes"], self.__dict__["_rooms"]
        if name in rooms:
            return needed(f"{self.__name__}.{name}", name)
        if name not in homes:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        self.__dict__[name] = getattr(needed(homes[name], name), name)
        return self.__dict__[name]

    def __setattr__(self, name: str, value: Any) -> None:
        """Without the modules that Python puts into their package when it imports them, if a public name is theirs.

        So ``from spikebayes.training import fit`` is the function, whether ``training/fit.py`` was imported or not.
        """
        if not (isinstance(value, ModuleType) and name in self.__dict__["_homes"]):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.__dict__["_homes"], *self.__dict__["_rooms"]})


def import_late(package: str, homes: Mapping[str, Sequence[str]], rooms: Sequence[str] = ()) -> None:
    """Let a package offer names whose modules are imported when the first of their names is asked for.

    Args:
        package: the package's name; its ``__init__`` calls this with ``__name__``. Type checkers do not see through
            it: the same imports stand there under ``if TYPE_CHECKING:`` too.
        homes: for each module below the package, the names that it has for it: ``{"fit": ["fit"]}``.
        rooms: packages below it that are imported when they are asked for themselves.

    Example:
        >>> from spikebayes import training  # which does: import_late(__name__, {"scaling": ["Scaling"], ...})
        >>> training.Scaling.__module__
        'spikebayes.training.scaling'
    """
    module = sys.modules[package]
    module.__dict__["_homes"] = {name: f"{package}.{home}" for home, names in homes.items() for name in names}
    module.__dict__["_rooms"] = tuple(rooms)
    module.__class__ = _Package
