"""The ``research_report`` workflow: plan, search, read in parallel, write, have it reviewed, publish.

Every part is an agent of its own. What they bring is checked by rules: notes whose quotes are not in the document are
thrown away, and where too little is left the planner plans again.
"""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from agent_workflows.activities.messages import DocumentSearch, Found, NotesCheck, ReportRecord
    from agent_workflows.activities.research import CHECK_NOTES, PUBLISH_REPORT, SEARCH_DOCUMENTS
    from agent_workflows.agents.research import problem_of_draft
    from agent_workflows.failures import as_temporal
    from agent_workflows.policies import DATA
    from agent_workflows.workflows.calls import call
    from agent_workflows.workflows.children import Child, Failed, run_child, run_children
    from agent_workflows.workflows.run import current
    from bridge.contracts.agents import AgentResult, AgentStart
    from bridge.contracts.approvals import Approval, ApprovalRequest, ApprovalVerdict
    from bridge.contracts.catalog.research_report import RESEARCH_REPORT, ResearchReport, ResearchReported
    from bridge.contracts.catalog.research_roles import (
        PLAN_RESEARCH,
        READ_DOCUMENT,
        WRITE_REPORT,
        Draft,
        Notes,
        Plan,
        PlanResearch,
        ReadDocument,
        Source,
        WriteReport,
    )
    from bridge.contracts.failures import Code, Refused, describe

PLANS = 3
DRAFTS = 3
READERS = 3
"""So many documents are read at once."""


@workflow.defn(name=RESEARCH_REPORT.workflow, versioning_behavior=VersioningBehavior.PINNED)
class ResearchReportWorkflow:
    @workflow.run
    async def run(self, start: AgentStart) -> AgentResult:
        with as_temporal():
            wanted = ResearchReport.model_validate(RESEARCH_REPORT.validate_input(start.input))
            research = _Research(start, wanted)
            await research.collect()
            draft = await research.write("draft-1", "", ())
            revisions = 0
            draft, approval = await research.review(draft, "report-1")
            while (
                approval.verdict is ApprovalVerdict.REJECTED and not approval.expired and revisions < wanted.revisions
            ):
                revisions += 1
                draft = await research.write(f"draft-{revisions + 1}", draft.text, (approval.feedback,))
                draft, approval = await research.review(draft, f"report-{revisions + 1}")
            report = ""
            if approval.verdict is ApprovalVerdict.APPROVED:
                report = await call(PUBLISH_REPORT, ReportRecord(start=start, text=draft.text), str, DATA)
        reported = ResearchReported(
            title=draft.title,
            report=report,
            verdict=approval.verdict,
            expired=approval.expired,
            revisions=revisions,
            documents=draft.sources,
            left_out=tuple(research.problems),
        )
        return current().result(start, reported)


class _Research:
    """The sources found so far, and what was wrong with others."""

    def __init__(self, start: AgentStart, wanted: ResearchReport) -> None:
        self._start = start
        self._wanted = wanted
        self._sources: dict[str, Source] = {}
        self._seen: set[str] = set()
        self.problems: list[str] = []

    async def collect(self) -> None:
        """Plan, search and read until there is enough, at most so many times; raises ``Refused(NO_DATA)``."""
        for number in range(1, PLANS + 1):
            current().phase = f"planning, {number}"
            asked = PlanResearch(topic=self._wanted.topic, problems=tuple(p[:500] for p in self.problems[-100:]))
            planned = await run_child(self._start, Child(PLAN_RESEARCH, f"plan-{number}", asked))
            await self._read(Plan.model_validate(planned.output), number)
            if len(self._sources) >= min(self._wanted.least, self._wanted.documents):
                return
        if not self._sources:
            why = "; ".join(self.problems[-5:])
            raise Refused(
                Code.NO_DATA, f"no document of use on {self._wanted.topic!r} was found in {PLANS} plans: {why}"
            )

    async def _read(self, plan: Plan, number: int) -> None:
        current().phase = "searching"
        search = DocumentSearch(
            tenant=self._start.tenant,
            queries=plan.queries,
            most=self._wanted.documents - len(self._sources),
            without=tuple(sorted(self._seen)),
        )
        found: list[Found] = await call(SEARCH_DOCUMENTS, search, list[Found], DATA)
        if not found:
            self.problems.append(f"nothing new was found for {', '.join(plan.queries)}"[:500])
            return
        self._seen |= {one.document for one in found}
        current().phase = f"reading {len(found)} documents"
        children = [
            Child(READ_DOCUMENT, f"read-{number}-{n}", ReadDocument(topic=self._wanted.topic, document=one.document))
            for n, one in enumerate(found, start=1)
        ]
        results = await run_children(self._start, children, at_once=READERS)
        for one, result in zip(found, results, strict=True):
            await self._take(one, result)

    async def _take(self, found: Found, result: AgentResult | Failed) -> None:
        if isinstance(result, Failed):
            self.problems.append(f"{found.document}: {result.code}: {result.reason}"[:500])
            return
        notes = Notes.model_validate(result.output)
        check = NotesCheck(tenant=self._start.tenant, document=found.document, notes=notes)
        problem: str = await call(CHECK_NOTES, check, str, DATA)
        if problem:
            self.problems.append(f"{found.document}: {problem}"[:500])
        else:
            self._sources[found.document] = Source(document=found.document, title=found.title, notes=notes)

    async def write(self, name: str, previous: str, feedback: tuple[str, ...]) -> Draft:
        """A draft that rests on the sources only; one that does not is written again."""
        problem = ""
        for number in range(1, DRAFTS + 1):
            current().phase = f"writing {name}"
            asked = WriteReport(
                topic=self._wanted.topic,
                sources=tuple(self._sources.values()),
                previous=previous,
                feedback=(*feedback, *([problem] if problem else [])),
            )
            written = await run_child(self._start, Child(WRITE_REPORT, f"{name}.{number}", asked))
            draft = Draft.model_validate(written.output)
            problem = problem_of_draft(draft, self._sources) or ""
            if not problem:
                return draft
        raise Refused(Code.REJECTED, f"no draft of {DRAFTS} could be used; the last: {problem}")

    async def review(self, draft: Draft, name: str) -> tuple[Draft, Approval]:
        """The draft as it was edited, and the verdict. An edit that is no draft is sent back to the reviewers."""
        question, number = f"Publish this report on {self._wanted.topic}? A rejection says what to change.", 1
        while True:
            approval = await current().approvals.ask(
                ApprovalRequest(
                    id=name if number == 1 else f"{name}.{number}",
                    question=question,
                    subject={"title": draft.title, "text": draft.text},
                    roles=self._wanted.reviewers,
                    expires_after=self._wanted.review_within,
                )
            )
            if approval.verdict is ApprovalVerdict.CANCELLED:
                raise Refused(Code.REJECTED, f"a reviewer stopped the report: {approval.feedback}")
            try:
                return Draft.model_validate(draft.model_dump() | approval.subject), approval
            except ValidationError as error:
                number += 1
                question = (
                    f"The edit could not be used: {describe(error)}. Publish the report as it was, or edit again?"
                )
