"""What clients wrote down, one event per line: kind, nanoseconds of the machine's monotonic clock, fields; tabs between them.

  S seq partition          a producer hands a record over          A seq partition offset   it was acknowledged
  F seq partition error    it failed for good: it may be in the log or not
  R partition offset id    a consumer read the record `producer:seq`
  P partition offset       it got the partition and asked for the group's committed offset (time of the question; -1: none)
  - partition              it lost the partition
  C partition offset       a commit was acknowledged               c partition offset       a commit failed: done or not
  E text                   an error that passes                    X text                   an error that ended the client
  G text                   the library declared its session broken; the application began a new one (what was open has an F)
  Z                        the client ended in order
"""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Producer:
    name: str
    sends: dict = field(default_factory=dict)  # seq -> (time, partition)
    acks: dict = field(default_factory=dict)  # seq -> (time, partition, offset)
    failures: dict = field(default_factory=dict)  # seq -> (time, partition, error)
    errors: list = field(default_factory=list)  # (time, text)
    given_up: list = field(default_factory=list)  # (time, text)
    fatal: str = ""
    ended: bool = False


@dataclass
class Consumer:
    name: str
    group: str
    events: list = field(default_factory=list)  # (time, kind, partition, offset, id), in their order; kinds R P - C c
    errors: list = field(default_factory=list)
    fatal: str = ""
    ended: bool = False


@dataclass
class History:
    producers: list = field(default_factory=list)
    consumers: list = field(default_factory=list)

    def acks(self):
        """(time, partition) of every acknowledgement, in the order of time."""
        return sorted((time, partition) for p in self.producers for time, partition, _ in p.acks.values())


def _lines(path):
    text = Path(path).read_text()
    for line in text[:text.rfind("\n") + 1].splitlines():  # the last line may be half of one
        kind, time, *fields = line.split("\t")
        yield kind, int(time), fields


def read_producer(name, path):
    producer = Producer(name)
    for kind, time, f in _lines(path):
        if kind == "S":
            producer.sends[int(f[0])] = time, int(f[1])
        elif kind == "A":
            producer.acks[int(f[0])] = time, int(f[1]), int(f[2])
        elif kind == "F":
            producer.failures[int(f[0])] = time, int(f[1]), f[2]
        else:
            _common(producer, kind, time, f)
    return producer


def read_consumer(name, group, path):
    consumer = Consumer(name, group)
    for kind, time, f in _lines(path):
        if kind in "RPCc-":
            consumer.events.append((time, kind, int(f[0]), int(f[1]) if len(f) > 1 else -1, f[2] if len(f) > 2 else ""))
        else:
            _common(consumer, kind, time, f)
    return consumer


def _common(client, kind, time, fields):
    if kind == "E":
        client.errors.append((time, fields[0]))
    elif kind == "G":
        client.given_up.append((time, fields[0]))
    elif kind == "X":
        client.fatal = fields[0]
    elif kind == "Z":
        client.ended = True


def longest_gap(acks, begin, end, partition=None):
    """The longest time in seconds without an acknowledgement between two moments (ns), of any partition or of the worst one.

    `acks` as of History.acks(). With `partition` None: the largest of the partitions' own gaps."""
    if partition is None:
        return max((longest_gap(acks, begin, end, p) for p in sorted({p for _, p in acks})), default=(end - begin) / 1e9)
    times = [t for t, p in acks if p == partition and begin <= t <= end]
    edges = [begin, *times, end]
    return max(b - a for a, b in zip(edges, edges[1:])) / 1e9
