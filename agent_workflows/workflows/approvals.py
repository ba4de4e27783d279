"""Questions to people, inside a workflow: asked, answered, expired, each step told as an event.

Nothing is held while a run waits: no worker, no thread. An answer comes as an update, which is refused or taken at
once, or as a signal where no worker runs that could take an update; a signal that is refused becomes an event.
"""

import datetime as dt
from collections.abc import Callable

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from agent_workflows import policies
    from agent_workflows.activities.approve import RECORD_APPROVAL
    from agent_workflows.activities.messages import ApprovalRecord
    from agent_workflows.agents.approvals import Tally
    from agent_workflows.failures import as_temporal
    from bridge.contracts import ids
    from bridge.contracts.agents import AgentMessage, AgentStart
    from bridge.contracts.approvals import Answer, AnswerTaken, Approval, ApprovalRequest
    from bridge.contracts.events import AgentWaiting, ApprovalAnswered, ApprovalClosed
    from bridge.contracts.failures import Code, Refused, describe


class Approvals:
    """The questions of one run. ``on_change`` is called when one is opened or closed."""

    def __init__(
        self, start: AgentStart, *, is_new: Callable[[AgentMessage], bool], on_change: Callable[[], None]
    ) -> None:
        self._start = start
        self._is_new = is_new
        self._on_change = on_change
        self._open: dict[str, Tally] = {}
        self._taken: dict[str, list[tuple[str, Answer]]] = {}

    @property
    def pending(self) -> tuple[ApprovalRequest, ...]:
        return tuple(tally.request for tally in self._open.values())

    async def ask(self, request: ApprovalRequest) -> Approval:
        """Ask, and wait until people have decided or the question expires."""
        if request.id in self._taken:
            raise Refused(Code.INVALID_REQUEST, f"question {request.id!r} was asked before; give the next its own id")
        tally, asked_at = Tally(request, self._start.tenant), workflow.now()
        expires_at = asked_at + request.expires_after
        _check_outlives(request, expires_at)
        self._open[request.id], self._taken[request.id] = tally, []
        self._on_change()
        try:
            await self._tell(
                ids.waiting_event_id(self._start.workflow_id, request.id), self._waiting(request, asked_at)
            )
            expired = await self._decided(tally, expires_at)
        finally:
            del self._open[request.id]
            self._on_change()
        approval = tally.approval(expired=expired)
        closed = ApprovalClosed(
            workflow_id=self._start.workflow_id, approval=request.id, verdict=approval.verdict, expired=expired,
            subject=approval.subject, closed_at=workflow.now(),
        )  # fmt: skip
        await self._tell(ids.approval_closed_event_id(self._start.workflow_id, request.id), closed)
        return approval

    async def _decided(self, tally: Tally, expires_at: dt.datetime) -> bool:
        """Wait for the verdict and tell of each answer on the way; True if time decided."""
        told, taken = 0, self._taken[tally.request.id]
        while True:
            while told < len(taken):
                event_id, answer = taken[told]
                await self._tell_answer(event_id, answer)
                told += 1
            if tally.verdict is not None:
                return False
            try:
                await workflow.wait_condition(
                    lambda seen=told: len(taken) > seen,  # type: ignore[misc]  # binds the count of now
                    timeout=max(expires_at - workflow.now(), dt.timedelta(0)),
                    timeout_summary=f"question {tally.request.id} expires",
                )
            except TimeoutError:
                tally.expire()
                return True

    def check(self, message: AgentMessage) -> None:
        """Validator of the update: refuses before anything is written into history."""
        with as_temporal():
            self._checked(message)

    def take(self, message: AgentMessage) -> AnswerTaken:
        """Handler of the update, which ``check`` let pass."""
        tally, answer = self._checked(message)
        return self._add(message, tally, answer) if self._is_new(message) else tally.taken()

    async def take_late(self, message: AgentMessage) -> None:
        """Handler of the signal: there is nobody to tell that it is refused, so the refusal becomes an event."""
        try:
            tally, answer = self._checked(message)
        except Refused as error:
            workflow.logger.warning("an answer was refused: %s", error)
            answer_told = _readable(message)
            if answer_told is not None:
                await self._tell_answer(message.event_id, answer_told, refused=error)
            return
        self._add(message, tally, answer)

    def _checked(self, message: AgentMessage) -> tuple[Tally, Answer]:
        try:
            answer = Answer.model_validate(message.data)
        except ValidationError as error:
            raise Refused(Code.INVALID_REQUEST, f"the answer is not valid: {describe(error)}") from error
        tally = self._open.get(answer.approval)
        if tally is None:
            open_now = ", ".join(sorted(self._open)) or "none"
            problem = f"there is no open question {answer.approval!r}; open questions: {open_now}"
            raise Refused(Code.APPROVAL_CLOSED, problem)
        tally.check(answer)
        return tally, answer

    def _add(self, message: AgentMessage, tally: Tally, answer: Answer) -> AnswerTaken:
        self._taken[answer.approval].append((message.event_id, answer))
        return tally.add(answer)

    def _waiting(self, request: ApprovalRequest, asked_at: dt.datetime) -> AgentWaiting:
        return AgentWaiting(
            workflow_id=self._start.workflow_id,
            run_id=workflow.info().run_id,
            agent=self._start.agent,
            approval=request,
            asked_at=asked_at,
            expires_at=asked_at + request.expires_after,
        )

    async def _tell_answer(self, event_id: str, answer: Answer, *, refused: Refused | None = None) -> None:
        answered = ApprovalAnswered(
            workflow_id=self._start.workflow_id,
            approval=answer.approval,
            by=answer.by,
            choice=answer.choice,
            feedback=answer.feedback,
            accepted=refused is None,
            reason=str(refused or ""),
            answered_at=workflow.now(),
        )
        await self._tell(ids.answered_event_id(self._start.workflow_id, answer.approval, event_id), answered)

    async def _tell(self, event_id: str, fact: AgentWaiting | ApprovalAnswered | ApprovalClosed) -> None:
        record = ApprovalRecord(tenant=self._start.tenant, cause=self._start.cause, event_id=event_id, fact=fact)
        await workflow.execute_activity(
            RECORD_APPROVAL,
            record,
            start_to_close_timeout=policies.COMPLETION.start_to_close,
            retry_policy=policies.COMPLETION.retry,
            summary=f"{fact.TYPE.split('.')[-2]} {event_id.rsplit('/', 1)[-1]}"[:180],
        )


def _check_outlives(request: ApprovalRequest, expires_at: dt.datetime) -> None:
    info = workflow.info()
    if info.execution_timeout and expires_at > info.start_time + info.execution_timeout:
        problem = (
            f"question {request.id!r} would expire at {expires_at:%Y-%m-%d %H:%M}, after the run itself: give the "
            f"agent's spec an execution_timeout over {info.execution_timeout} or the question a shorter expires_after"
        )
        raise Refused(Code.INVALID_REQUEST, problem)


def _readable(message: AgentMessage) -> Answer | None:
    try:
        return Answer.model_validate(message.data)
    except ValidationError:
        return None
