"""The worker's settings: the only reader of its environment."""

import os
from pathlib import Path
from typing import Self

import yaml
from pydantic import Field, SecretStr, ValidationError, model_validator

from agent_workflows.agents.models import ModelPolicy, ModelSpec, Provider, only
from bridge.contracts.failures import Code, Owner, Refused, describe
from bridge.settings import PlatformSettings


class WorkerSettings(PlatformSettings):
    models_file: Path | None = Field(
        default=None,
        description="YAML file of models, their prices and which purpose asks which; takes the place of TANDEM_MODEL_…",
    )
    model_provider: Provider = Field(
        default="offline-analyst",
        description="Who decides: rules, or a model at an OpenAI-compatible or Anthropic endpoint",
    )
    model_name: str = Field(default="", description="Model at that endpoint")
    model_base_url: str | None = Field(default=None, description="Endpoint; leave out for the vendor's own")
    model_api_key: SecretStr | None = Field(default=None, description="API key of the endpoint")
    analyst_pace_seconds: float = Field(
        default=0.0,
        ge=0,
        le=60,
        description="Slow each answer of the offline analyst, to watch or interrupt a run",
    )
    memory_url: SecretStr = Field(
        default=SecretStr("sqlite:///.tandem/memory.db"),
        description="Long-term memory: a SQLite file for one machine, or postgresql://… with pgvector for many",
    )
    corpus: Path = Field(
        default=Path(".tandem/corpus"),
        description="Folder of documents for research_report: shared/ for all tenants, and one folder a tenant",
    )
    shop_url: str = Field(
        default="http://127.0.0.1:8095", description="Base URL of the shop that fulfil_order works with"
    )
    task_queue: str = Field(default="agents", description="Temporal task queue of the workflows")
    serve: str = Field(
        default="workflows,gpu,http,data",
        pattern="^(workflows|gpu|http|data)(,(workflows|gpu|http|data))*$",
        description="What this worker runs: workflows with the calls of no kind, and the kinds of calls it is made for",
    )
    deployment: str = Field(
        default="tandem-agents", pattern="^[A-Za-z0-9_-]{1,64}$", description="Name of the worker deployment"
    )
    build_id: str = Field(
        default="",
        pattern="^[A-Za-z0-9_.+-]{0,64}$",
        description="Version of this code in that deployment; leave out for a worker without versions",
    )
    drain_seconds: float = Field(
        default=8, ge=0, le=3600, description="How long running calls may finish after SIGTERM"
    )
    max_activities: int = Field(default=32, ge=1, description="Model and tool calls at once")
    max_cached_workflows: int = Field(default=2000, ge=1, description="Runs kept in memory (about 50 KB each)")
    worker_probe_port: int = Field(default=8092, description="Port of /healthz, /readyz and /metrics")

    @model_validator(mode="after")
    def _model_is_named(self) -> Self:
        if self.models_file is None and self.model_provider != "offline-analyst" and not self.model_name:
            raise ValueError(f"TANDEM_MODEL_NAME is needed with TANDEM_MODEL_PROVIDER={self.model_provider}")
        return self

    @model_validator(mode="after")
    def _memory_is_known(self) -> Self:
        if not self.memory_url.get_secret_value().startswith(("sqlite:///", "postgresql")):
            raise ValueError("TANDEM_MEMORY_URL is sqlite:///path or postgresql://user@host/name")
        return self

    def model_policy(self) -> ModelPolicy:
        """``models_file``, else the one model of the settings for everything; raises ``Refused(BAD_CONNECTION)``."""
        if self.models_file is None:
            return only(ModelSpec(provider=self.model_provider, model=self.model_name, base_url=self.model_base_url))
        try:
            return ModelPolicy.model_validate(yaml.safe_load(self.models_file.read_text(encoding="utf-8")))
        except (OSError, yaml.YAMLError) as error:
            problem = f"the models file {self.models_file} could not be read: {error}"
            raise Refused(Code.BAD_CONNECTION, problem, owner=Owner.PLATFORM) from error
        except ValidationError as error:
            problem = f"the models file {self.models_file} is not valid: {describe(error)}"
            raise Refused(Code.BAD_CONNECTION, problem, owner=Owner.PLATFORM) from error

    def api_key(self, spec: ModelSpec) -> SecretStr | None:
        """The key of a model: from the variable it names, else the one of the settings."""
        if spec.api_key is None:
            return self.model_api_key
        if not os.environ.get(spec.api_key):
            problem = f"the model {spec.model!r} takes its key from {spec.api_key}, which is not set"
            raise Refused(Code.BAD_CONNECTION, problem, owner=Owner.PLATFORM)
        return SecretStr(os.environ[spec.api_key])
