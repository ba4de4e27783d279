"""A saga: steps that are undone in reverse order when a later one fails or the run is cancelled."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from bridge.contracts.failures import Code

T = TypeVar("T")
Undo = Callable[[], Awaitable[object]]


class Saga:
    """``async with Saga() as saga``: leaving it by an error or a cancellation undoes what was done, then raises on.

    A step that has begun is always brought to its end before anything is undone, so that it is known what there is to
    undo. An undo must be safe where there is nothing to undo: a step may have failed without saying whether it did
    anything. A refusal by the other side (not a lack of an answer) leaves nothing to undo.
    """

    def __init__(self) -> None:
        self._undos: list[tuple[str, Undo]] = []

    async def step(self, name: str, action: Awaitable[T], undo: Undo) -> T:
        """Do a step and remember how it is undone."""
        self._undos.append((name, undo))
        doing = asyncio.ensure_future(action)
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            await asyncio.wait([doing])
            if not doing.cancelled() and _was_refused(doing.exception()):
                self._undos.pop()
            raise
        except ActivityError as error:
            if _was_refused(error):
                self._undos.pop()
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, GeneratorExit):
            await asyncio.shield(asyncio.ensure_future(self._undo()))

    async def _undo(self) -> None:
        """Everything, also where one cannot be undone; then says which could not."""
        failed: list[str] = []
        while self._undos:
            name, undo = self._undos.pop()
            workflow.logger.info("undoing %s", name)
            try:
                await undo()
            except ActivityError as error:
                failed.append(f"{name}: {error.cause}")
        if failed:
            problem = "could not be undone, a person has to: " + "; ".join(failed)
            raise ApplicationError(problem, type=Code.NOT_UNDONE.value, non_retryable=True)


def _was_refused(error: BaseException | None) -> bool:
    """Whether the other side said no, in our vocabulary; not knowing is not a no."""
    cause = error.cause if isinstance(error, ActivityError) else None
    said_no = {code.value for code in Code} - {Code.OUTCOME_UNKNOWN.value, Code.UNAVAILABLE.value}
    return isinstance(cause, ApplicationError) and cause.type in said_no
