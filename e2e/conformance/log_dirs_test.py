"""DescribeLogDirs as Kafka answers it; several log.dirs in one broker: where partitions go, and one disk that fails while the others serve on."""

import json
import os
import re

import pytest

from e2e.conformance.start_test import settings_for
from e2e.faults.clients import failing_io
from e2e.lib.broker import Broker
from e2e.lib.kcat import consume, kcat
from e2e.lib.network import small_disk
from e2e.lib.process import wait_until

PARTITIONS = 6
DISK_MEGABYTES = 32


def without_places(line):
    """Paths are each broker's own; partitions have no order."""
    if not line.startswith("{"):
        return line
    told = json.loads(line)
    for broker in told["brokers"]:
        for directory in broker["logDirs"]:
            directory["logDir"] = "<directory>"
            directory["partitions"].sort(key=lambda p: p["partition"])
    return json.dumps(told, sort_keys=True)


def test_log_dirs_are_described_as_kafka_does(both):
    def scenario(kafka):
        kafka("kafka-topics", "--create", "--topic", "described")
        kafka("kafka-topics", "--create", "--topic", "described-empty", "--partitions", "3")
        kafka("kafka-console-producer", "--topic", "described", stdin="one record\n", edit=lambda line: line.lstrip(">") or None)
        kafka("kafka-log-dirs", "--describe", "--topic-list", "described,described-empty", "--broker-list", "0", edit=without_places)
        kafka("kafka-log-dirs", "--describe", "--topic-list", "described", edit=without_places)
        kafka("kafka-log-dirs", "--describe", "--topic-list", "not-there", edit=without_places)
        kafka("kafka-log-dirs", "--describe", "--topic-list", "described", "--broker-list", "0,7", edit=without_places, fails=True)
    both(scenario)


@pytest.fixture
def two(millrace_broker_program, tmp_path):
    """A broker with two log directories and a topic, its address, and both directories."""
    first, second = tmp_path / "first", tmp_path / "second"
    settings = {**settings_for(tmp_path), "log.dirs": f"{first},{second}", "num.partitions": PARTITIONS}
    address = settings["listeners"].split(",", 1)[0].split("//")[1]
    broker = Broker(tmp_path / "broker", settings)
    yield broker, address, first, second
    broker.kill()


def partitions_in(folder, topic="spread"):
    return {int(p.name.rsplit("-", 1)[1]) for p in folder.glob(f"{topic}-?") if p.is_dir()}


def fill(address):
    """The topic, with a record in each partition."""
    kcat("-b", address, "-L", "-t", "spread")  # creates it
    for partition in range(PARTITIONS):
        kcat("-b", address, "-P", "-t", "spread", "-p", partition, stdin=f"record {partition}\n")


def described(tools, address):
    """What kafka-log-dirs says about the topic: directory -> (error, partitions that have something)."""
    told = tools.run("kafka-log-dirs", "--bootstrap-server", address, "--describe", "--topic-list", "spread").out
    entry, = json.loads(re.search(r"^\{.*\}$", told, re.M)[0])["brokers"]
    return {d["logDir"]: (d["error"], {int(p["partition"].rsplit("-", 1)[1]) for p in d["partitions"] if p["size"] > 0}) for d in entry["logDirs"]}


def test_partitions_are_spread_and_found_again_and_described(two, tools):
    broker, address, first, second = two
    broker.start()
    fill(address)
    assert len(partitions_in(first)) == len(partitions_in(second)) == PARTITIONS // 2
    assert partitions_in(first) | partitions_in(second) == set(range(PARTITIONS))
    broker.kill()  # both directories are recovered
    broker.start()
    assert sorted(consume(address, "spread")) == [f"record {p}".encode() for p in range(PARTITIONS)]
    assert described(tools, address) == {str(first): (None, partitions_in(first)), str(second): (None, partitions_in(second))}

    cordon = ("kafka-configs", "--bootstrap-server", address, "--entity-type", "brokers", "--entity-name", "1", "--alter")
    tools.run(*cordon, "--add-config", f"cordoned.log.dirs={second}")
    tools.run("kafka-topics", "--bootstrap-server", address, "--create", "--topic", "later", "--partitions", "4")
    assert partitions_in(first, "later") == {0, 1, 2, 3} and not partitions_in(second, "later")

    numbers = iter(range(1000))

    def create():
        return tools.run("kafka-topics", "--bootstrap-server", address, "--create", "--topic", f"try-{next(numbers)}")
    tools.run(*cordon, "--add-config", "cordoned.log.dirs=*")
    wait_until(lambda: "all their log directories cordoned" in str(create()), 10, "the controller knows", 0.2)
    tools.run(*cordon, "--delete-config", "cordoned.log.dirs")
    wait_until(lambda: create().code == 0, 10, "the controller knows", 0.2)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_a_full_directory_refuses_alone_and_heals_by_itself(two, tools):
    broker, address, first, second = two
    with small_disk(second, DISK_MEGABYTES):
        broker.start()
        fill(address)
        full, kept = min(partitions_in(second)), min(partitions_in(first))
        ballast = second / "ballast"
        with pytest.raises(OSError), open(ballast, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        code, _, _ = kcat("-b", address, "-P", "-t", "spread", "-p", full, "-X", "message.timeout.ms=3000", stdin="x" * 10_000 + "\n", check=False)
        assert code != 0
        assert re.search(r"^millrace_log_full_directories 1$", broker.metrics(), re.M)
        kcat("-b", address, "-P", "-t", "spread", "-p", kept, stdin="kept\n")
        assert f"record {full}".encode() in consume(address, "spread")  # nobody else has it: what is there can be read
        assert described(tools, address)[str(second)][0] is None
        ballast.unlink()
        kcat("-b", address, "-P", "-t", "spread", "-p", full, stdin="there is room again\n")  # repeated by the client until then
        assert broker.stop() == 0


def test_a_directory_that_fails_goes_offline_alone(two, tools, tmp_path, monkeypatch):
    broker, address, first, second = two
    switch = tmp_path / "failing-io"
    with monkeypatch.context() as preloaded:
        for name, value in (("LD_PRELOAD", failing_io()), ("FAILING_IO_SWITCH", switch), ("FAILING_IO_FOLDER", second)):
            preloaded.setenv(name, str(value))
        broker.start()
    fill(address)
    lost, kept = min(partitions_in(second)), min(partitions_in(first))
    switch.write_text("write")
    code, _, error = kcat("-b", address, "-P", "-t", "spread", "-p", lost, "-X", "message.timeout.ms=3000", stdin="lost\n", check=False)
    assert code != 0, error
    wait_until(lambda: re.search(r"^kafka_log_logmanager_offlinelogdirectorycount 1$", broker.metrics(), re.M), 10, "the metric", 0.2)
    kcat("-b", address, "-P", "-t", "spread", "-p", kept, stdin="kept\n")
    told = described(tools, address)
    assert told[str(first)] == (None, partitions_in(first))
    assert "KafkaStorageException" in told[str(second)][0] and not told[str(second)][1]
    leaders = tools.run("kafka-topics", "--bootstrap-server", address, "--describe", "--topic", "spread").out
    assert len(re.findall(r"Leader: none", leaders)) == PARTITIONS // 2, leaders
    assert broker.stop() == 0

    switch.unlink()
    broker.start()
    assert sorted(consume(address, "spread")) == sorted([f"record {p}".encode() for p in range(PARTITIONS)] + [b"kept"])
