"""Progress bars for long work, on standard error; in a notebook those that notebooks show."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

T = TypeVar("T")


def track(items: Iterable[T], what: str, show: bool) -> Iterable[T]:
    """The items, with a bar that advances as they are taken when ``show`` is set; their number may be unknown."""
    if not show:
        return items
    return _tracked(items, what)


class Bar:
    """A bar of work that is counted in something else than its steps, such as rows.

    Args:
        what: is being done.
        total: how much of it.
        before: how much was done before; it is no part of the estimate of the time that is left.
    """

    def __init__(self, what: str, total: int, before: int = 0) -> None:
        self._bar: _Rich | _Tqdm = (_Tqdm if in_notebook() else _Rich)(what, total, before)

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._bar.stop(failed=error is not None)

    def advance(self, count: int) -> None:
        """So much more is done."""
        self._bar.advance(count)


def in_notebook() -> bool:
    """Whether cells, not a terminal, show what is printed."""
    return _console().is_jupyter


class _Rich:
    """A bar in a terminal."""

    def __init__(self, what: str, total: int, before: int) -> None:
        self._bar = _bar()
        self._task = self._bar.add_task(what, total=total, completed=before)

    def start(self) -> None:
        self._bar.start()

    def stop(self, *, failed: bool) -> None:
        """What went wrong is said in one line, and nothing else: then the bar goes."""
        self._bar.live.transient = failed
        (self._bar.live if failed else self._bar).stop()

    def advance(self, count: int) -> None:
        self._bar.advance(self._task, count)


class _Tqdm:
    """A bar in a notebook: rich asks for ipywidgets there, and without them says so in place of a bar."""

    def __init__(self, what: str, total: int, before: int) -> None:
        self._given: dict[str, Any] = {"desc": what, "total": total, "initial": before}
        self._bar: Any = None

    def start(self) -> None:
        self._bar = _tqdm()(**self._given, file=sys.stderr)

    def stop(self, *, failed: bool) -> None:
        self._bar.leave = not failed
        self._bar.close()

    def advance(self, count: int) -> None:
        self._bar.update(count)


def _tracked(items: Iterable[T], what: str) -> Iterable[T]:
    if in_notebook():
        yield from _tqdm()(items, desc=what, file=sys.stderr)
        return
    with _bar() as bar:
        yield from bar.track(items, description=what)


def _tqdm() -> Any:
    if find_spec("ipywidgets") is not None:
        from tqdm.notebook import tqdm
    else:
        from tqdm.std import tqdm
    return tqdm


def _bar() -> Progress:
    columns = (TextColumn("{task.description:>12}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=_console())


def _console() -> Console:
    return Console(stderr=True)
