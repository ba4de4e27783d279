"""The activities of ``research_report`` and its readers: search, read, check, publish."""

from typing import Any, Final

from temporalio import activity

from agent_workflows.activities.messages import DocumentSearch, Found, NotesCheck, ReportRecord, ToolRequest
from agent_workflows.agents.pages import ReadPage, page
from agent_workflows.agents.research import READ_PAGE, problem_of_notes
from agent_workflows.effects import Effect, IfUnknown, make_once
from agent_workflows.failures import as_temporal
from agent_workflows.ports import Corpus, Effects, Files
from bridge.contracts import names

SEARCH_DOCUMENTS: Final = "search_documents"
CHECK_NOTES: Final = "check_notes"
PUBLISH_REPORT: Final = "publish_report"
REPEATS: Final = IfUnknown(repeats=True)
"""The same report under the same name: storing it again changes nothing."""


class Research:
    def __init__(self, corpus: Corpus, files: Files, effects: Effects) -> None:
        self._corpus = corpus
        self._files = files
        self._effects = effects

    @activity.defn(name=SEARCH_DOCUMENTS)
    async def search_documents(self, wanted: DocumentSearch) -> list[Found]:
        """The best of every query in turn, until there are enough."""
        with as_temporal():
            enough = wanted.most + len(wanted.without)
            ranked = [await self._corpus.search(tenant=wanted.tenant, query=q, most=enough) for q in wanted.queries]
        found: dict[str, Found] = {}
        for place in range(enough):
            for of_query in ranked:
                if place < len(of_query) and of_query[place].document not in wanted.without:
                    found.setdefault(of_query[place].document, of_query[place])
        return list(found.values())[: wanted.most]

    @activity.defn(name=READ_PAGE.name)
    async def read_page(self, request: ToolRequest) -> dict[str, Any]:
        """A page of the run's own document, never of one that the model names."""
        asked = ReadPage.model_validate(request.call.arguments)
        with as_temporal():
            text = await self._corpus.read(tenant=request.start.tenant, document=request.start.input["document"])
            return page(text, asked)

    @activity.defn(name=CHECK_NOTES)
    async def check_notes(self, check: NotesCheck) -> str:
        """What is wrong with the notes, or an empty string."""
        with as_temporal():
            text = await self._corpus.read(tenant=check.tenant, document=check.document)
            return problem_of_notes(check.notes, text) or ""

    @activity.defn(name=PUBLISH_REPORT)
    async def publish_report(self, record: ReportRecord) -> str:
        """Publish once; returns where the report is."""
        start = record.start

        async def publish() -> dict[str, Any]:
            key = f"agents/{start.tenant}/{start.request_id}.md"
            where = await self._files.put(names.REPORTS_BUCKET, key, record.text.encode(), "text/markdown")
            return {"report": where}

        with as_temporal():
            effect = Effect(f"{start.workflow_id}/publish", start.tenant, start.workflow_id)
            return str((await make_once(self._effects, effect, publish, REPEATS))["report"])
