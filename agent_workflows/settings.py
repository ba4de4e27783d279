"""The worker's settings: the only reader of its environment."""

from typing import Literal

from pydantic import Field, SecretStr, model_validator

from bridge.settings import PlatformSettings


class WorkerSettings(PlatformSettings):
    model_provider: Literal["offline-analyst", "openai", "anthropic"] = Field(
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
    task_queue: str = Field(default="agents", description="Temporal task queue to serve")
    max_activities: int = Field(default=32, ge=1, description="Model and tool calls at once")
    max_cached_workflows: int = Field(default=2000, ge=1, description="Runs kept in memory (about 50 KB each)")
    worker_probe_port: int = Field(default=8092, description="Port of /healthz, /readyz and /metrics")

    @model_validator(mode="after")
    def _model_is_named(self) -> "WorkerSettings":
        if self.model_provider != "offline-analyst" and not self.model_name:
            raise ValueError(f"TANDEM_MODEL_NAME is needed with TANDEM_MODEL_PROVIDER={self.model_provider}")
        return self
