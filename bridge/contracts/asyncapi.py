"""The AsyncAPI document, made from the contracts: ``python -m bridge.contracts.asyncapi docs/asyncapi.json``.

``--check`` compares instead of writing and exits with 1 if the document is out of date.
"""

import json
import sys
from pathlib import Path
from typing import Any

from bridge.contracts import names
from bridge.contracts.events import CONTRACTS, AgentRequested

DIRECTIONS = {AgentRequested.TYPE: "receive"}


def document() -> dict[str, Any]:
    """AsyncAPI 3.0: a channel per topic, a message per contract, CloudEvents headers on all."""
    messages = {contract.__name__: _message(contract) for contract in CONTRACTS}
    channels = {
        topic: {
            "address": topic,
            "messages": {c.__name__: _ref("messages", c.__name__) for c in CONTRACTS if topic == c.TOPIC},
            "bindings": {"kafka": {"bindingVersion": "0.5.0", "topic": topic}},
        }
        for topic in names.TOPICS
    }
    operations = {
        f"{DIRECTIONS.get(contract.TYPE, 'send')}{contract.__name__}": {
            "action": DIRECTIONS.get(contract.TYPE, "send"),
            "channel": {"$ref": f"#/channels/{contract.TOPIC}"},
            "messages": [{"$ref": f"#/channels/{contract.TOPIC}/messages/{contract.__name__}"}],
        }
        for contract in CONTRACTS
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tandem events",
            "version": "1.0.0",
            "description": "CloudEvents 1.0 on Kafka. Written in binary mode; read in binary, structured and plain "
            "JSON. The event id is stable over retries and is the dedupe key. What cannot be served goes to the topic"
            f" plus {names.DEAD_SUFFIX!r}, its dead-letter topic.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "messageTraits": {"cloudEvent": {"headers": _headers()}}},
    }


def _message(contract: type[Any]) -> dict[str, Any]:
    definitions = f"#/components/messages/{contract.__name__}/payload/$defs/{{model}}"
    return {
        "name": contract.TYPE,
        "summary": (contract.__doc__ or "").strip().splitlines()[0],
        "traits": [_ref("messageTraits", "cloudEvent")],
        "payload": contract.model_json_schema(ref_template=definitions),
    }


def _headers() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "type": "object",
        "required": ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_tenant"],
        "properties": {
            "ce_specversion": {"type": "string", "const": "1.0"},
            "ce_id": text | {"description": "Stable over retries; the dedupe key"},
            "ce_type": text,
            "ce_source": text,
            "ce_tenant": text | {"description": "The tenant the event belongs to"},
            "ce_time": text | {"format": "date-time"},
            "ce_cause": text | {"description": "Id of what led here"},
            "ce_traceparent": text,
        },
    }


def _ref(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}


def main(arguments: list[str]) -> int:
    paths = [Path(argument) for argument in arguments if not argument.startswith("--")]
    if len(paths) != 1:
        sys.stderr.write("usage: python -m bridge.contracts.asyncapi [--check] docs/asyncapi.json\n")
        return 2
    text = json.dumps(document(), indent=2, ensure_ascii=False) + "\n"
    if "--check" not in arguments:
        paths[0].write_text(text, encoding="utf-8")
        return 0
    if paths[0].is_file() and paths[0].read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{paths[0]} does not match the contracts; write it anew with: make docs\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
