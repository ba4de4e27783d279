"""The tenants file: YAML in, declared tenants out."""

from pathlib import Path

import yaml
from pydantic import ValidationError

from bridge.contracts.failures import Code, Refused, describe
from bridge.contracts.tenants import Tenant, TenantFile


def read_tenants(path: Path) -> tuple[Tenant, ...]:
    """The declared tenants; raises ``Refused(INVALID_REQUEST)`` that says which entry is wrong and why."""
    try:
        return TenantFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))).tenants
    except OSError as error:
        problem = f"cannot read tenants file {str(path)!r}: {error.strerror}"
        raise Refused(Code.INVALID_REQUEST, problem) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Refused(Code.INVALID_REQUEST, f"{str(path)!r} is not YAML: {error}") from error
    except ValidationError as error:
        problem = f"{str(path)!r} does not declare tenants: {describe(error)}"
        raise Refused(Code.INVALID_REQUEST, problem) from error
