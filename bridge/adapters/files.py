"""The YAML files people write: tenants, routes, signing keys."""

from pathlib import Path
from typing import Any, Final, TypeVar

import yaml
from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError

from bridge.contracts import ids
from bridge.contracts.failures import Code, Owner, Refused, describe
from bridge.contracts.routes import RoutingTable
from bridge.contracts.tenants import Tenant, TenantFile

Model = TypeVar("Model", bound=BaseModel)
KEYS: Final = TypeAdapter(dict[ids.TenantId, tuple[SecretStr, ...]])


def read_tenants(path: Path) -> tuple[Tenant, ...]:
    """Raises ``Refused(INVALID_REQUEST)`` that names the file and each bad field."""
    return _validated(path, TenantFile, Code.INVALID_REQUEST, "tenants").tenants


def read_routes(path: Path) -> RoutingTable:
    """Raises ``Refused(BAD_ROUTES)`` that names the file and each bad field."""
    return _validated(path, RoutingTable, Code.BAD_ROUTES, "routes")


def read_signing_keys(path: Path) -> dict[str, tuple[str, ...]]:
    """``{tenant: keys}``; two keys while one is being replaced. Raises ``Refused(BAD_CONNECTION)``."""
    try:
        keys = KEYS.validate_python(_load(path, Code.BAD_CONNECTION, "signing keys"))
    except ValidationError as error:
        problem = f"{path} is not a file of signing keys (TENANT: [key, …]): {describe(error)}"
        raise Refused(Code.BAD_CONNECTION, problem, owner=Owner.PLATFORM) from error
    return {tenant: tuple(key.get_secret_value() for key in of) for tenant, of in keys.items()}


def _validated(path: Path, model: type[Model], code: Code, what: str) -> Model:
    try:
        return model.model_validate(_load(path, code, what))
    except ValidationError as error:
        raise Refused(code, f"{path} is not a valid file of {what}: {describe(error)}", owner=Owner.PLATFORM) from error


def _load(path: Path, code: Code, what: str) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Refused(code, f"{path} is not YAML of {what}: {error}", owner=Owner.PLATFORM) from error
