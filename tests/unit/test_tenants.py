from pathlib import Path

import pytest

from bridge.adapters.files import read_tenants
from bridge.contracts.failures import Refused

REPOSITORY = Path(__file__).parents[2]


def test_the_sixteen_carriers_are_declared() -> None:
    tenants = read_tenants(REPOSITORY / "infra" / "tenants.yaml")

    assert [tenant.id for tenant in tenants] == [
        "9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tenants: [", "is not YAML"),
        ("tenants: []", "tenants"),
        ("tenants: [{id: AA}]", "tenants.0.name"),
        ("tenants: [{id: a/b, name: x}]", "tenants.0.id"),
        ("tenants: [{id: platform, name: x}]", "reserved"),
        ("tenants: [{id: AA, name: x}, {id: aa, name: y}]", "declared twice"),
        ("tenants: [{id: AA, name: x, colour: red}]", "colour"),
        ("- AA", "value"),
    ],
)
def test_a_wrong_file_is_refused_and_the_entry_named(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "tenants.yaml"
    file.write_text(text)

    with pytest.raises(Refused) as refused:
        read_tenants(file)

    assert says in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"nowhere\.yaml"):
        read_tenants(tmp_path / "nowhere.yaml")
