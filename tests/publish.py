"""``publish``: an agent for tests that asks people about its draft."""

import asyncio
import datetime as dt
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from agent_workflows.failures import as_temporal
    from agent_workflows.workflows.run import current
    from bridge.contracts.agents import AgentResult, AgentSpec, AgentStart, Frozen
    from bridge.contracts.approvals import ApprovalRequest, ApprovalVerdict
    from bridge.contracts.failures import Code, Refused


class Publish(Frozen):
    """A draft goes through so many reviews at once, and is written anew after each rejection."""

    reviews: tuple[ApprovalRequest, ...]


class Published(Frozen):
    rounds: int
    draft: dict[str, Any]


PUBLISH = AgentSpec(
    name="publish",
    workflow="PublishWorkflow",
    request=Publish,
    result=Published,
    execution_timeout=dt.timedelta(days=14),
)


@workflow.defn(name=PUBLISH.workflow)
class PublishWorkflow:
    @workflow.run
    async def run(self, start: AgentStart) -> AgentResult:
        with as_temporal():
            wanted = Publish.model_validate(start.input)
            draft, number = {"title": "first"}, 0
            while True:
                number += 1
                asked = [
                    review.model_copy(update={"id": f"{review.id}-{number}", "subject": draft})
                    for review in wanted.reviews
                ]
                found = await asyncio.gather(*(current().approvals.ask(one) for one in asked))
                if any(one.verdict is ApprovalVerdict.CANCELLED for one in found):
                    raise Refused(Code.REJECTED, "a person stopped the run")
                said = [one.feedback for one in found if one.verdict is ApprovalVerdict.REJECTED and not one.expired]
                if not said:
                    break
                draft = {"title": f"revised: {'; '.join(said)}"}
            draft = found[0].subject | {"expired": any(one.expired for one in found)}
            output = Published(rounds=number, draft=draft).model_dump(mode="json")
            return AgentResult(
                tenant=start.tenant, agent=start.agent, request_id=start.request_id, output=output,
                usage=current().usage,
            )  # fmt: skip
