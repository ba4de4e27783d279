"""TLS and SASL on a real Apache Kafka of the test's own."""

import datetime as dt
import ipaddress
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bridge.adapters.kafka import KafkaAddress, KafkaSecurity, ensure_topics
from bridge.bootstrap import kafka_address
from bridge.contracts.failures import Code, Refused, Unavailable
from bridge.settings import BridgeSettings
from bridge.stack import layout
from bridge.stack.reachable import connects, wait_until
from tests.consuming import consuming, new_topic, request, send, starter, until
from tests.fakes import FakeAgents

pytestmark = pytest.mark.integration

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=SASL_SSL://127.0.0.1:{sasl},SSL://127.0.0.1:{tls},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=SASL_SSL://127.0.0.1:{sasl},SSL://127.0.0.1:{tls}
controller.listener.names=CONTROLLER
inter.broker.listener.name=SSL
listener.security.protocol.map=CONTROLLER:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL
log.dirs={folder}/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
ssl.keystore.type=PEM
ssl.keystore.location={folder}/server.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
listener.name.ssl.ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
user_bridge="right";
"""


@dataclass(frozen=True)
class Secure:
    sasl: str
    tls: str
    folder: Path

    def security(self, **changes: Any) -> KafkaSecurity:
        ca = str(self.folder / "ca.pem")
        base = KafkaSecurity("SASL_SSL", mechanism="PLAIN", username="bridge", password="right", ca_file=ca)
        return replace(base, **changes)


@pytest.fixture(scope="module")
def secure(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    if not stack.is_apache_kafka:
        pytest.skip("needs Apache Kafka: Java 17+ and Maven")
    folder = tmp_path_factory.mktemp("secure-kafka")
    _certificates(folder)
    ports = layout.plan(folder).ports
    properties = folder / "server.properties"
    properties.write_text(
        PROPERTIES.format(
            controller=ports["kafka_controller"], sasl=ports["kafka"], tls=ports["worker_probe"], folder=folder
        )
    )
    java = ["java", "-Xmx384m", "-cp", f"{stack.plan.home / 'kafka' / 'libs'}/*"]
    format_it = [
        "kafka.tools.StorageTool",
        "format",
        "--standalone",
        "-t",
        "c2VjdXJlLXRlc3QtMDEyMw",
        "-c",
        str(properties),
    ]
    subprocess.run([*java, *format_it], check=True, capture_output=True)
    with (folder / "kafka.log").open("w") as log:
        broker = subprocess.Popen([*java, "kafka.Kafka", str(properties)], stdout=log, stderr=log)
    try:
        assert wait_until(lambda: connects(layout.HOST, ports["kafka"]), seconds=60), (folder / "kafka.log").read_text()
        yield Secure(f"127.0.0.1:{ports['kafka']}", f"127.0.0.1:{ports['worker_probe']}", folder)
    finally:
        broker.terminate()
        broker.wait(30)


async def test_requests_flow_over_tls_with_sasl(secure: Secure) -> None:
    address, agents = KafkaAddress(secure.sasl, security=secure.security()), FakeAgents()
    topic = new_topic(address)
    await send(address, request(topic, 1))

    async with consuming(address, topic, starter(agents)):
        await until(lambda: bool(agents.started))

    assert list(agents.started) == ["AA/investigate_delays/r1"]


async def test_requests_flow_over_tls_with_a_client_certificate(secure: Secure) -> None:
    certificate, key = str(secure.folder / "client.pem"), str(secure.folder / "client.key")
    security = secure.security(protocol="SSL", certificate_file=certificate, key_file=key)
    address, agents = KafkaAddress(secure.tls, security=security), FakeAgents()
    topic = new_topic(address)
    await send(address, request(topic, 1))

    async with consuming(address, topic, starter(agents)):
        await until(lambda: bool(agents.started))

    assert len(agents.started) == 1


@pytest.mark.parametrize("changes", [{"password": "wrong"}, {"ca_file": None}], ids=["password", "unknown CA"])
def test_wrong_credentials_are_told_as_such(secure: Secure, changes: dict[str, Any]) -> None:
    with pytest.raises(Unavailable, match=secure.sasl):
        ensure_topics(KafkaAddress(secure.sasl, security=secure.security(**changes)), partitions=1, topics=["t.v1"])


def test_half_a_set_of_settings_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    settings = BridgeSettings(kafka_security_protocol="SASL_SSL", kafka_sasl_mechanism="PLAIN")
    missing = BridgeSettings(kafka_security_protocol="SSL", kafka_ssl_ca_file=str(tmp_path / "no.pem"))

    for wrong, says in ((settings, "username"), (missing, "no.pem")):
        with pytest.raises(Refused, match=says) as refused:
            kafka_address(wrong)
        assert refused.value.code is Code.BAD_CONNECTION


def _certificates(folder: Path) -> None:
    """A CA, a server certificate for 127.0.0.1 and a client certificate, as PEM files."""
    authority = ec.generate_private_key(ec.SECP256R1())
    ca = _certificate("test CA", authority.public_key(), issuer="test CA", signer=authority, is_ca=True)
    (folder / "ca.pem").write_bytes(_pem(ca))
    for name in ("server", "client"):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _pem(_certificate(name, key.public_key(), issuer="test CA", signer=authority))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{name}.pem").write_bytes(private + certificate if name == "server" else certificate)
        (folder / f"{name}.key").write_bytes(private)


def _certificate(name: str, key: Any, *, issuer: str, signer: Any, is_ca: bool = False) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(host, critical=False)
        .sign(signer, hashes.SHA256())
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
