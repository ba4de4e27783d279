"""What an agent run shows while it runs, and what it keeps when it continues as new.

One ``AgentRun`` a workflow, made by the worker's interceptor; workflow code gets it by ``current()``.
"""

import datetime as dt
from typing import Final, NoReturn

from pydantic import BaseModel
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from agent_workflows.activities.messages import Decision
    from agent_workflows.agents.caps import lowered, reached
    from agent_workflows.agents.definition import Caps
    from agent_workflows.workflows.approvals import Approvals
    from bridge.contracts import names
    from bridge.contracts.agents import AgentMessage, AgentResult, AgentStart, Frozen, ModelUsage, Usage
    from bridge.contracts.approvals import RunStatus
    from bridge.contracts.failures import Code, Refused
    from bridge.visibility import STATUS

_ATTRIBUTE: Final = "_agent_run"
LONG_HISTORY: Final = 4096
REMEMBERED: Final = 1000
"""So many message ids are remembered over a continue-as-new; who sends one again after a thousand others is heard."""


class Carried(Frozen):
    """What the runtime hands to the next run of a workflow that continues as new."""

    usage: Usage
    began: dt.datetime
    had: tuple[str, ...] = ()


class AgentRun:
    """``began`` is when the first run of the chain began to work; ``phase`` is what it does, in a word or two."""

    def __init__(self, carried: Carried | None) -> None:
        self.phase = "starting"
        self._shown = names.WORKING
        self.usage = carried.usage if carried else Usage()
        self.began = carried.began if carried else workflow.now()
        self._had = dict.fromkeys(carried.had if carried else ())
        self._approvals: Approvals | None = None

    def begin(self, start: AgentStart) -> None:
        """Called once, before the workflow's own code: what every agent answers to is ready from here on."""
        self._approvals = approvals = Approvals(start, is_new=self.is_new, on_change=self._show)
        setattr(workflow.instance(), _ATTRIBUTE, self)
        workflow.set_query_handler(names.STATUS_QUERY, self.status)
        workflow.set_update_handler(names.ANSWER, approvals.take, validator=approvals.check)
        workflow.set_signal_handler(names.ANSWER, approvals.take_late)

    @property
    def approvals(self) -> Approvals:
        if self._approvals is None:
            raise RuntimeError("only a workflow that was started with an AgentStart may ask people")
        return self._approvals

    def carried(self) -> Carried:
        return Carried(usage=self.usage, began=self.began, had=tuple(self._had)[-REMEMBERED:])

    def is_new(self, message: AgentMessage) -> bool:
        """Whether a message was not had before; from now on it was."""
        new = message.event_id not in self._had
        self._had[message.event_id] = None
        return new

    def check(self, start: AgentStart, caps: Caps) -> None:
        """Asked before each model call; raises ``Refused(CAP_REACHED)``. The tenant's limits lower the caps."""
        cap = reached(lowered(caps, start.limits), self.usage, workflow.now() - self.began)
        if cap:
            raise Refused(Code.CAP_REACHED, f"agent {start.agent!r} stopped without a result at its cap of {cap}")

    def spend(self, decision: Decision) -> None:
        """Add a decision to the usage, in all and by model."""
        used, by_model = self.usage, dict(self.usage.models)
        before = by_model.get(decision.model, ModelUsage())
        by_model[decision.model] = ModelUsage(
            calls=before.calls + 1,
            input_tokens=before.input_tokens + decision.input_tokens,
            output_tokens=before.output_tokens + decision.output_tokens,
            cost_microdollars=before.cost_microdollars + decision.cost_microdollars,
        )
        self.usage = Usage(
            model=decision.model,
            turns=used.turns + 1,
            model_calls=used.model_calls + 1,
            tool_calls=used.tool_calls + len(decision.calls),
            input_tokens=used.input_tokens + decision.input_tokens,
            output_tokens=used.output_tokens + decision.output_tokens,
            cost_microdollars=used.cost_microdollars + decision.cost_microdollars,
            models=by_model,
        )

    def add(self, used: Usage) -> None:
        """Add what an agent used that this one sent out, in all and by model."""
        mine, models = self.usage, dict(self.usage.models)
        for name, usage in used.models.items():
            before = models.get(name, ModelUsage())
            models[name] = ModelUsage(**{f: getattr(before, f) + getattr(usage, f) for f in ModelUsage.model_fields})
        counted = ("turns", "model_calls", "tool_calls", "input_tokens", "output_tokens", "cost_microdollars")
        sums = {field: getattr(mine, field) + getattr(used, field) for field in counted}
        self.usage = Usage(model=used.model or mine.model, models=models, **sums)

    def result(self, start: AgentStart, output: BaseModel) -> AgentResult:
        """What the workflow returns: its output, and all that was used."""
        return AgentResult(
            tenant=start.tenant,
            agent=start.agent,
            request_id=start.request_id,
            output=output.model_dump(mode="json"),
            usage=self.usage,
        )

    def _show(self) -> None:
        """Set the search attribute by which runs are found."""
        status = names.WAITING if self.approvals.pending else names.WORKING
        if status != self._shown:
            workflow.upsert_search_attributes([STATUS.value_set(status)])
        self._shown = status

    def status(self) -> RunStatus:
        pending = self.approvals.pending
        phase = "waiting for " + ", ".join(request.id for request in pending) if pending else self.phase
        return RunStatus(phase=phase, usage=self.usage, began=self.began, pending=pending)


def current() -> AgentRun:
    """The run of the workflow that asks. Only in workflows started with an ``AgentStart``."""
    run: AgentRun = getattr(workflow.instance(), _ATTRIBUTE)
    return run


def run_key() -> str:
    """What the turns of this run are stored under."""
    info = workflow.info()
    return f"{info.workflow_id}:{info.run_id}"


def is_long() -> bool:
    """Whether it is time to continue as new: the server suggests it, or the history is as long as where it would."""
    info = workflow.info()
    return info.is_continue_as_new_suggested() or info.get_current_history_length() >= LONG_HISTORY


async def continue_as_new(start: AgentStart, state: BaseModel) -> NoReturn:
    """Go on in a new run with an empty history; it finds ``state``, which should be small, in its ``start.state``.

    Waits for open questions and message handlers. A message that arrives meanwhile is not lost: the server has the
    workflow handle it first, or hands it to the new run.
    """
    run = current()
    await workflow.wait_condition(lambda: workflow.all_handlers_finished() and not run.approvals.pending)
    workflow.continue_as_new(start.model_copy(update={"state": state.model_dump(mode="json")}))
