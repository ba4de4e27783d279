"""The ``process_document`` workflow: download and extract, summarise, store."""

from typing import TypeVar

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from agent_workflows.activities.documents import EXTRACT_DOCUMENT, STORE_SUMMARY
    from agent_workflows.activities.messages import DocumentStep
    from agent_workflows.failures import as_temporal
    from agent_workflows.policies import DATA
    from agent_workflows.workflows.calls import call
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
        return current().result(start, processed)


async def _call(name: str, step: DocumentStep, kind: type[T]) -> T:
    current().phase = name.replace("_", " ")
    return await call(name, step, kind, DATA, summary=step.name)
