"""Worker versions: which version a worker is of, and what workflows may say about versions when it is of none."""

from dataclasses import dataclass, replace
from typing import Final

from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import (
    UnsandboxedWorkflowRunner,
    WorkerDeploymentConfig,
    WorkflowInstance,
    WorkflowInstanceDetails,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

PASSED_THROUGH: Final = (
    "pydantic",
    "pydantic_core",
    "annotated_types",
    "bridge.contracts",
    "structlog",
    "pydantic_ai",  # for agents written with it: their loop runs in the workflow, their calls in activities
    "pydantic_graph",
    "anyio",
    "sniffio",
    "httpx",
    "opentelemetry",
    "genai_prices",
)


@dataclass(frozen=True, slots=True)
class Release:
    """The deployment version this worker is of. Runs are pinned to it or move on, as each workflow declares.

    Without a build id the worker is of no version and takes every run.
    """

    deployment: str = "tandem-agents"
    build_id: str = ""

    def config(self) -> WorkerDeploymentConfig:
        """Named also without a version: the SDK would hash every loaded module for a name, which takes seconds."""
        version = WorkerDeploymentVersion(deployment_name=self.deployment, build_id=self.build_id or "unversioned")
        return WorkerDeploymentConfig(version=version, use_worker_versioning=bool(self.build_id))


UNVERSIONED: Final = Release()


class _UnversionedRunner(UnsandboxedWorkflowRunner):
    """Leaves out what workflows declare about versions: the server refuses to hear it of a worker without one."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        silent = replace(det.defn, versioning_behavior=VersioningBehavior.UNSPECIFIED)
        return super().create_instance(replace(det, defn=silent))


def sandbox(release: Release = UNVERSIONED) -> SandboxedWorkflowRunner:
    """What runs the workflow code of a worker of this version, or of none."""
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH),
        runner_class=UnsandboxedWorkflowRunner if release.build_id else _UnversionedRunner,
    )
