"""Progress bars for long work, on standard error."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

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
        self._bar = _bar()
        self._task = self._bar.add_task(what, total=total, completed=before)

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._bar.live.transient = error is not None
        (
            self._bar if error is None else self._bar.live
        ).stop()  # what went wrong is said in one line, and nothing else

    def advance(self, count: int) -> None:
        """So much more is done."""
        self._bar.advance(self._task, count)


def _tracked(items: Iterable[T], what: str) -> Iterable[T]:
    with _bar() as bar:
        yield from bar.track(items, description=what)


def _bar() -> Progress:
    columns = (TextColumn("{task.description:>12}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True))
