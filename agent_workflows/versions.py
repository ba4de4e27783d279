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

PASSED_THROUGH: Final = ("pydantic", "pydantic_core", "annotated_types", "bridge.contracts", "structlog")


@dataclass(frozen=True, slots=True)
class Release:
    """The deployment version this worker is of. Runs are pinned to it or move on, as each workflow declares."""

    deployment: str
    build_id: str

    def config(self) -> WorkerDeploymentConfig:
        version = WorkerDeploymentVersion(deployment_name=self.deployment, build_id=self.build_id)
        return WorkerDeploymentConfig(version=version, use_worker_versioning=True)


class _UnversionedRunner(UnsandboxedWorkflowRunner):
    """Leaves out what workflows declare about versions: the server refuses to hear it of a worker without one."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        silent = replace(det.defn, versioning_behavior=VersioningBehavior.UNSPECIFIED)
        return super().create_instance(replace(det, defn=silent))


def sandbox(release: Release | None = None) -> SandboxedWorkflowRunner:
    """What runs the workflow code of a worker of this version, or of none."""
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH),
        runner_class=UnsandboxedWorkflowRunner if release else _UnversionedRunner,
    )
