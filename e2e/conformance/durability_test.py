"""kill -9 under an idempotent acks=all load: every acknowledged record is there once, in order."""

import json

from e2e.lib import jars
from e2e.lib.kafka import TOOLS
from e2e.lib.kcat import consume, kcat, produce
from e2e.lib.process import Process, wait_until

RECORDS = 40_000
RATE = 5_000  # records per second, so that the kills come into the middle
KILLS = 3


def test_no_record_is_lost_or_doubled_when_the_broker_is_killed_under_load(broker, tmp_path):
    kcat("-b", broker.bootstrap, "-L", "-t", "kept")  # creates it
    config = tmp_path / "producer.properties"
    config.write_text("acks=all\nenable.idempotence=true\nretries=2147483647\ndelivery.timeout.ms=90000\nlinger.ms=1\n"
                      "request.timeout.ms=5000\nreconnect.backoff.max.ms=100\nretry.backoff.ms=20\n")
    argv = jars.java(TOOLS["kafka-verifiable-producer"], "--bootstrap-server", broker.bootstrap, "--topic", "kept", "--max-messages", RECORDS,
                     "--throughput", RATE, "--acks", -1, "--command-config", config)
    with Process(argv, log=tmp_path / "producer.log") as producer:
        def acknowledged():
            return [line for line in producer.lines if '"producer_send_success"' in line]
        at_kill = []
        for kill in range(1, KILLS + 1):
            goal = RECORDS * kill // (KILLS + 2)
            wait_until(lambda goal=goal: len(acknowledged()) >= goal or producer.returncode is not None, 60, f"{goal} acknowledged records",
                       every=0.05)
            broker.kill()
            at_kill.append(len(acknowledged()))
            assert at_kill[-1] < RECORDS, "the producer was done before the broker was killed"
            broker.start()
        wait_until(lambda: producer.returncode is not None, 90, "the producer's end", every=0.1)
        assert producer.returncode == 0, producer.tail()
        values = [int(json.loads(line)["value"]) for line in acknowledged()]
        offsets = [json.loads(line)["offset"] for line in acknowledged()]
    print(f"acknowledged when killed: {at_kill} of {RECORDS}")
    assert len(values) == RECORDS and '"producer_send_error"' not in "\n".join(producer.lines)
    found = [int(value) for value in consume(broker.bootstrap, "kept")]
    assert sorted(found) == list(range(RECORDS)), f"{len(found)} records, {len(set(found))} different"
    assert found == sorted(found)
    assert all(found[offset] == value for value, offset in zip(values, offsets, strict=True))


def test_committed_offsets_outlive_a_kill(broker):
    produce(broker.bootstrap, "read", [str(i).encode() for i in range(100)])
    group = ["-b", broker.bootstrap, "-G", "readers", "-q", "-X", "auto.offset.reset=earliest", "-c"]
    assert kcat(*group, 60, "read")[1].split() == [str(i).encode() for i in range(60)]
    broker.kill()
    broker.start()
    assert kcat(*group, 40, "read")[1].split() == [str(i).encode() for i in range(60, 100)]
