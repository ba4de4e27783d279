"""Where the stack lives, as other versions and accidents left it."""

import json
from pathlib import Path

import pytest

from bridge.stack import layout


def test_a_plan_of_an_older_version_gets_the_ports_it_does_not_know(tmp_path: Path) -> None:
    plan = layout.plan(tmp_path)
    plan.ports["kafka"] = 19092
    plan.save()
    stored = json.loads(plan.file.read_text())
    del stored["ports"]["shop"]
    plan.file.write_text(json.dumps(stored))

    loaded = layout.load(tmp_path)

    assert loaded is not None
    assert (loaded.ports["kafka"], loaded.ports["shop"]) == (19092, layout.PREFERRED_PORTS["shop"])


@pytest.mark.parametrize("text", ["", "{", "{}", '{"ports": 1}', '{"unknown": true}'])
def test_a_plan_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "stack.json").write_text(text)

    assert layout.load(tmp_path) is None
