"""The harness itself: both brokers start, records go through them, and a killed broker comes back with its data."""

from e2e.lib.kafka import kafka_tool
from e2e.lib.kcat import consume, produce

RECORDS = [b"first", b"second", b"third"]


def test_a_killed_development_broker_comes_back_with_its_records(broker):
    produce(broker.bootstrap, "harness", RECORDS)
    assert consume(broker.bootstrap, "harness") == RECORDS  # kcat asks with ListOffsets v2, which has no leader epoch
    broker.kill()
    broker.start()
    assert consume(broker.bootstrap, "harness") == RECORDS


def test_a_development_broker_stops_at_once_when_idle(broker):
    assert broker.stop(seconds=1.0) == 0


def test_the_oracle_takes_records(apache_kafka):
    kafka_tool("kafka-topics", "--bootstrap-server", apache_kafka.bootstrap, "--create", "--topic", "harness")
    produce(apache_kafka.bootstrap, "harness", RECORDS)
    assert consume(apache_kafka.bootstrap, "harness") == RECORDS
