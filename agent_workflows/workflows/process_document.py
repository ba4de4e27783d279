"""The ``process_document`` workflow: download and extract, summarise, store."""

from typing import TypeVar

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from agent_workflows import policies
    from agent_workflows.activities.documents import EXTRACT_DOCUMENT, STORE_SUMMARY
    from agent_workflows.activities.messages import DocumentStep
    from agent_workflows.failures import as_temporal
    from agent_workflows.policies import DATA
    from agent_workflows.workflows.children import Child, run_child
    from agent_workflows.workflows.run import current
    from bridge.contracts.agents import AgentResult, AgentStart
    from bridge.contracts.catalog.process_document import (
        PROCESS_DOCUMENT,
        SUMMARISE_DOCUMENT,
        DocumentRequest,
        Processed,
    )

T = TypeVar("T")


@workflow.defn(name=PROCESS_DOCUMENT.workflow, versioning_behavior=VersioningBehavior.PINNED)
class ProcessDocumentWorkflow:
    @workflow.run
    async def run(self, start: AgentStart) -> AgentResult:
        with as_temporal():
            wanted = DocumentRequest.model_validate(PROCESS_DOCUMENT.validate_input(start.input))
        step = DocumentStep(tenant=start.tenant, name=wanted.name)
        characters = await _call(EXTRACT_DOCUMENT, step, int)
        current().phase = "summarising"
        summarised = await run_child(start, Child(SUMMARISE_DOCUMENT, "summary", wanted))
        stored = await _call(STORE_SUMMARY, step.model_copy(update={"summary": summarised.output}), str)
        processed = Processed(summary=summarised.output["summary"], stored=stored, characters=characters)
        return AgentResult(
            tenant=start.tenant,
            agent=start.agent,
            request_id=start.request_id,
            output=processed.model_dump(mode="json"),
            usage=current().usage,
        )


async def _call(name: str, step: DocumentStep, kind: type[T]) -> T:
    current().phase = name.replace("_", " ")
    done: T = await workflow.execute_activity(
        name,
        step,
        result_type=kind,
        start_to_close_timeout=DATA.start_to_close,
        heartbeat_timeout=policies.HEARTBEAT,
        retry_policy=DATA.retry,
        summary=step.name,
    )
    return done
