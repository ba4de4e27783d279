from pathlib import Path

from bridge.contracts.asyncapi import document, main
from bridge.contracts.names import TOPICS

DOCUMENT = Path(__file__).parents[2] / "docs" / "asyncapi.json"


def test_the_published_document_is_made_from_these_contracts() -> None:
    assert main(["--check", str(DOCUMENT)]) == 0


def test_a_changed_document_is_noticed(tmp_path: Path) -> None:
    changed = tmp_path / "asyncapi.json"
    changed.write_text(DOCUMENT.read_text().replace("tenant", "customer", 1))

    assert main(["--check", str(changed)]) == 1


def test_every_topic_has_a_channel_and_every_channel_a_message() -> None:
    channels = document()["channels"]

    assert set(channels) == set(TOPICS)
    assert all(channel["messages"] for channel in channels.values())
