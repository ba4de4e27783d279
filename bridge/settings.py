"""The bridge's settings: the only reader of its environment."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class PlatformSettings(BaseSettings):
    """What every process of ours needs. Variables are named ``TANDEM_…``."""

    model_config = SettingsConfigDict(env_prefix="TANDEM_", frozen=True, extra="ignore")

    database_url: SecretStr = Field(
        default=SecretStr("sqlite:///.tandem/platform.db"),
        description="Platform database; postgresql:// means psycopg 3",
    )
    temporal_address: str = Field(default="127.0.0.1:7233", description="host:port of the Temporal frontend")
    temporal_namespace: str = Field(default="default", description="Temporal namespace")
    temporal_tls: bool = Field(default=False, description="Use TLS towards Temporal")
    temporal_api_key: SecretStr | None = Field(default=None, description="Temporal API key; implies TLS")
    temporal_ui_url: str = Field(default="", description="Base URL of the Temporal UI, for links")
    s3_endpoint: str | None = Field(default=None, description="S3 endpoint; leave out for AWS")
    s3_access_key: str | None = Field(default=None, description="S3 access key; leave out for the default chain")
    s3_secret_key: SecretStr | None = Field(default=None, description="S3 secret key")
    s3_region: str = Field(default="us-east-1", description="S3 region")
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Log level")
    probe_host: str = Field(default="127.0.0.1", description="Address the probe listens on")


class BridgeSettings(PlatformSettings):
    kafka_bootstrap_servers: str = Field(default="127.0.0.1:9092", description="host:port[,host:port…] of Kafka")
    kafka_group_prefix: str = Field(default="tandem", description="Prefix of the consumer groups")
    kafka_instance: str | None = Field(
        default=None,
        description="Static member name, unique per bridge: it gets its partitions back when it restarts",
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="How Kafka is spoken to"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        default=None, description="SASL mechanism"
    )
    kafka_sasl_username: str | None = Field(default=None, description="SASL user")
    kafka_sasl_password: SecretStr | None = Field(default=None, description="Its password")
    kafka_ssl_ca_file: str | None = Field(default=None, description="PEM file of the CA; leave out for the system's")
    kafka_ssl_certificate_file: str | None = Field(default=None, description="PEM file of our certificate, for mTLS")
    kafka_ssl_key_file: str | None = Field(default=None, description="PEM file of its key")
    kafka_proxy: str | None = Field(default=None, description="socks5://host:port, where Kafka is behind a proxy")
    kafka_partitions: int = Field(default=6, ge=1, description="Partitions of topics the bridge creates")
    kafka_replication: int = Field(
        default=1, ge=1, description="Replicas of topics the bridge creates; 3 in production"
    )
    max_in_flight: int = Field(default=64, ge=1, le=10_000, description="Events handled at once, per topic")
    stall_seconds: float = Field(
        default=60, ge=5, description="A consumer that is behind and has not moved for so long is opened anew"
    )
    routes_file: Path | None = Field(
        default=None, description="Routing table in YAML: which events start which agents and DAG runs"
    )
    signing_keys_file: Path | None = Field(
        default=None, description="YAML file of each tenant's request keys; requests of these tenants must be signed"
    )
    signed_requests: Literal["of_known_keys", "required"] = Field(
        default="of_known_keys", description="required: a tenant without a key can ask for nothing by Kafka"
    )
    airflow_url: str = Field(default="http://127.0.0.1:8080", description="Base URL of Airflow's API server")
    airflow_username: str = Field(default="bridge", description="Airflow service user")
    airflow_password: SecretStr = Field(default=SecretStr(""), description="Its password")
    bridge_probe_port: int = Field(default=8091, description="Port of /healthz, /readyz and /metrics")


def describe_settings(settings: type[BaseSettings]) -> str:
    """One line a variable, for ``--help``."""
    prefix = settings.model_config.get("env_prefix", "")
    lines = []
    for name, field in settings.model_fields.items():
        default = field.default
        shown = "(secret)" if isinstance(default, SecretStr) else default
        lines.append(f"  {(prefix + name).upper():34} {field.description} [default: {shown}]")
    return "\n".join(lines)


class _StackSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="TANDEM_", extra="ignore")

    home: Path = Path(".tandem")


def stack_home() -> Path:
    """Folder of the local stack's state: ``TANDEM_HOME``, else ``.tandem`` below the current folder."""
    return _StackSettings().home.resolve()
