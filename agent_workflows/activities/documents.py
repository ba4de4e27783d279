"""The activities of ``process_document``. The bytes of a document never pass through history."""

from typing import Any, Final

from temporalio import activity

from agent_workflows.activities.messages import DocumentStep, ToolRequest
from agent_workflows.agents.documents import READ_TEXT
from agent_workflows.agents.pages import ReadPage, page
from agent_workflows.failures import as_temporal
from agent_workflows.ports import Files
from bridge.contracts import names
from bridge.domain.documents import extract_text, source_key, summary_body, summary_key, text_key

EXTRACT_DOCUMENT: Final = "extract_document"
STORE_SUMMARY: Final = "store_summary"


class Documents:
    def __init__(self, files: Files) -> None:
        self._files = files

    @activity.defn(name=EXTRACT_DOCUMENT)
    async def extract_document(self, step: DocumentStep) -> int:
        """Download the document, store its text, return how many characters it has."""
        with as_temporal():
            body = await self._files.get(names.RAW_BUCKET, source_key(step.tenant, step.name))
            text = extract_text(step.name, body)
            await self._files.put(names.REPORTS_BUCKET, text_key(step.tenant, step.name), text.encode(), "text/plain")
            return len(text)

    @activity.defn(name=READ_TEXT.name)
    async def read_text(self, request: ToolRequest) -> dict[str, Any]:
        """A page of the run's own document."""
        asked = ReadPage.model_validate(request.call.arguments)
        with as_temporal():
            key = text_key(request.start.tenant, request.start.input["name"])
            text = (await self._files.get(names.REPORTS_BUCKET, key)).decode()
        return page(text, asked)

    @activity.defn(name=STORE_SUMMARY)
    async def store_summary(self, step: DocumentStep) -> str:
        """Store the summary; returns where it is. The same again changes nothing."""
        with as_temporal():
            key = summary_key(step.tenant, step.name)
            return await self._files.put(names.REPORTS_BUCKET, key, summary_body(step.summary), "application/json")
