"""Another system that asks for agents: plain kafka-python, nothing of Tandem imported.

Sends one request per TENANT:DAY argument, three times each, as a system would that retries too eagerly.

    python infra/demo/other_system.py 127.0.0.1:9092 UA:2013-04-16 B6:2013-02-08 --key demo-1
"""

import argparse
import json

from kafka import KafkaProducer

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("bootstrap", help="host:port of Kafka")
parser.add_argument("wanted", nargs="+", help="TENANT:DAY")
parser.add_argument("--key", default="other-system", help="prefix of the request ids")
arguments = parser.parse_args()

producer = KafkaProducer(bootstrap_servers=arguments.bootstrap, acks="all", allow_auto_create_topics=False)
for wanted in arguments.wanted:
    tenant, day = wanted.split(":", 1)
    request_id = f"{arguments.key}.{day}"
    request = {
        "id": f"{tenant}-{request_id}",
        "tenant": tenant,
        "agent": "investigate_delays",
        "request_id": request_id,
        "input": {"day": day},
    }
    for _ in range(3):
        producer.send("agents.request.v1", key=f"{tenant}/{day}".encode(), value=json.dumps(request).encode())
producer.flush()
producer.close()
print(f"sent {3 * len(arguments.wanted)} records for {len(arguments.wanted)} requests")
