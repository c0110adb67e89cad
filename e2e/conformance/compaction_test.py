"""Compaction: the same records survive as in Apache Kafka, and a busy group's offsets stay small."""

import random
import struct
import time

from e2e.conformance.support.wire import Wire, header
from e2e.lib.broker import DevBroker
from e2e.lib.kcat import kcat, settings

KEYS = 40
OFFSET_COMMIT, OFFSET_FETCH, FIND_COORDINATOR = 8, 9, 10


def script(seed):
    """Batches of (key, value or None); one kcat call each, so that both brokers get the same batches."""
    rng = random.Random(seed)
    for codec in ("none", "gzip", "snappy", "lz4", "zstd", "none"):
        yield codec, [(f"k{rng.randrange(KEYS)}", None if rng.random() < 0.15 else f"{codec}-{i}-{'x' * rng.randrange(200)}")
                      for i in range(150)]


def send(bootstrap, topic, codec, records):
    kcat("-b", bootstrap, "-P", "-t", topic, "-p", 0, "-K", ":", "-Z",
         *settings({"compression.codec": codec, "enable.idempotence": "true", "linger.ms": 5, "batch.num.messages": 20}),
         stdin="".join(f"{key}:{value or ''}\n" for key, value in records))


def survivors(bootstrap, topic):
    """(offset, key, value's length, value) of everything that is there."""
    out = kcat("-b", bootstrap, "-C", "-t", topic, "-p", 0, "-o", "beginning", "-e", "-q", "-f", "%o %k %S %s\n")[1]
    return [line.decode() for line in out.splitlines()]


def expected(written):
    """The last record of each key, tombstones included, but for the sentinel's segment, which is whole."""
    last = {key: offset for offset, (key, _) in enumerate(written)}
    return [f"{offset} {key} {-1 if value is None else len(value)} {value or ''}"
            for offset, (key, value) in enumerate(written) if last[key] == offset]


def wait_for(get, wanted, seconds=60.0):
    deadline = time.monotonic() + seconds
    while (found := get()) != wanted and time.monotonic() < deadline:
        time.sleep(0.25)
    return found


def test_the_same_records_survive_as_in_apache_kafka(apache_kafka, our_broker, tools):
    topic, backoff = "compacted-alike", "log.cleaner.backoff.ms=100"
    sides = [apache_kafka, our_broker]
    written = []
    for side in sides:
        def admin(tool, *arguments, side=side):
            outcome = tools.run(tool, "--bootstrap-server", side.bootstrap, *arguments)
            assert outcome.code == 0, outcome
        admin("kafka-configs", "--entity-type", "brokers", "--entity-default", "--alter", "--add-config", backoff)
        admin("kafka-topics", "--create", "--topic", topic, "--partitions", "1", "--config", "cleanup.policy=compact",
              "--config", "segment.ms=50", "--config", "min.cleanable.dirty.ratio=0.001")
        written = []
        for codec, records in script(seed=1):
            send(side.bootstrap, topic, codec, records)
            written += records
            time.sleep(0.1)  # longer than segment.ms: the next records begin a new segment
        send(side.bootstrap, topic, "none", [("sentinel", "active")])
        written.append(("sentinel", "active"))
    wanted = expected(written)
    assert len(wanted) <= KEYS + 1
    theirs, ours = (wait_for(lambda side=side: survivors(side.bootstrap, topic), wanted) for side in sides)
    assert theirs == wanted
    assert ours == wanted
    dump = tools.run("kafka-dump-log", "--deep-iteration", "--files",
                     ",".join(str(f) for f in sorted(our_broker.data.glob(f"{topic}-0/*.log"))))
    assert dump.code == 0 and "isvalid: false" not in dump.out, dump
    assert "deleteHorizonMs: OptionalLong[" in dump.out, dump.out[:3000]
    for side in sides:
        tools.run("kafka-configs", "--bootstrap-server", side.bootstrap, "--entity-type", "brokers", "--entity-default", "--alter",
                  "--delete-config", "log.cleaner.backoff.ms")


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


class Committer:
    """A consumer without a group membership, as fast as the socket."""

    def __init__(self, port, group, topic, partitions):
        self.wire, self.group, self.topic, self.partitions = Wire(port), group, topic, partitions

    def ask(self, api, version, body):
        self.wire.send(header(api, version) + body)
        return self.wire.receive()[4:]

    def find_coordinator(self, seconds=20.0):
        deadline = time.monotonic() + seconds
        while struct.unpack_from(">h", self.ask(FIND_COORDINATOR, 0, text(self.group)))[0] != 0:
            assert time.monotonic() < deadline, "no coordinator"
            time.sleep(0.05)

    def commit(self, offset):
        parts = b"".join(struct.pack(">iq", p, offset) + text("") for p in range(self.partitions))
        return (header(OFFSET_COMMIT, 2) + text(self.group) + struct.pack(">i", -1) + text("") + struct.pack(">qi", -1, 1)
                + text(self.topic) + struct.pack(">i", self.partitions) + parts)

    def commit_many(self, rounds, window=50):
        """Returns the first error that is not 0, or 0."""
        worst = 0
        for i in range(rounds + window):
            if i < rounds:
                self.wire.send(self.commit(i))
            if i >= window:
                answer = self.wire.receive()
                at = 4 + 4 + 2 + len(self.topic) + 4
                codes = {struct.unpack_from(">h", answer, at + 6 * p + 4)[0] for p in range(self.partitions)}
                worst = worst or max(codes)
        return worst

    def fetch(self):
        body = text(self.group) + struct.pack(">i", 1) + text(self.topic) + struct.pack(">i", self.partitions)
        answer = self.ask(OFFSET_FETCH, 1, body + b"".join(struct.pack(">i", p) for p in range(self.partitions)))
        at, found = 4 + 2 + len(self.topic) + 4, {}
        for _ in range(self.partitions):
            partition, offset, length = struct.unpack_from(">iqh", answer, at)
            at += 14 + max(length, 0)
            found[partition] = (offset, struct.unpack_from(">h", answer, at)[0])
            at += 2
        return found


def size_of(path):
    try:
        return path.stat().st_size
    except FileNotFoundError:  # compacted away since it was listed
        return 0


def test_a_busy_groups_offsets_stay_small_and_survive_a_kill(millrace_broker_program, tmp_path):
    partitions, rounds = 10, 10_000  # 100,000 offsets
    overrides = {"offsets.topic.num.partitions": 1, "offsets.topic.segment.bytes": 1 << 20, "log.cleaner.backoff.ms": 50,
                 "num.partitions": partitions}
    arguments = [word for key, value in overrides.items() for word in ("--override", f"{key}={value}")]
    with DevBroker(tmp_path, arguments) as broker:
        def size():
            return sum(size_of(f) for f in (broker.data / "__consumer_offsets-0").glob("*.log"))
        kcat("-b", broker.bootstrap, "-P", "-t", "busy", stdin="x\n")
        committer = Committer(broker.port, "busy-group", "busy", partitions)
        committer.find_coordinator()
        assert committer.commit_many(rounds) == 0
        wanted = {p: (rounds - 1, 0) for p in range(partitions)}
        assert committer.fetch() == wanted
        deadline = time.monotonic() + 30
        while size() > 3 << 20 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert size() <= 3 << 20, f"{size()} bytes for {partitions} offsets"
        assert "kafka_log_logcleanermanager_uncleanable_partitions_count 0\n" in broker.metrics()
        broker.kill()
        broker.start()
        committer = Committer(broker.port, "busy-group", "busy", partitions)
        started = time.monotonic()
        committer.find_coordinator()
        assert wait_for(committer.fetch, wanted, 10) == wanted
        assert time.monotonic() - started < 5
