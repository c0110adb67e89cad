"""The checker finds nothing in a clean history, and each kind of damage in a damaged one."""

import copy
import struct

import pytest

from e2e.faults import checker, log_reader
from e2e.faults.history import Consumer, History, Producer, longest_gap

PARTITIONS, RECORDS, NODES = 2, 60, (1, 2, 3)


def clean():
    """Two producers, a group of two members that hand over once, three replicas."""
    producers = [Producer("a", ended=True), Producer("b", ended=True)]
    logs = {p: log_reader.Log() for p in range(PARTITIONS)}
    time = 0
    for seq in range(RECORDS):
        for producer in producers:
            time += 10
            partition = seq % PARTITIONS
            log = logs[partition]
            producer.sends[seq] = time, partition
            producer.acks[seq] = time + 5, partition, log.end
            log.values[log.end] = f"{producer.name}:{seq}"
            log.batches.append(log_reader.Batch(log.end, log.end, 1, hash((producer.name, seq)) & 0xFFFFFFFF))
            log.end += 1
    first, second = Consumer("one", "g", ended=True), Consumer("two", "g", ended=True)
    for partition, log in logs.items():
        half = log.end // 2
        for member, begin, end in ((first, 0, half), (second, half, log.end)):
            time += 10
            member.events.append((time, "P", partition, begin if begin else -1, ""))
            for offset in range(begin, end):
                time += 1
                member.events.append((time, "R", partition, offset, log.values[offset]))
            time += 1
            member.events.append((time, "C", partition, end, ""))
    return History(producers, [first, second]), {node: copy.deepcopy(logs) for node in NODES}


def kinds(history, replicas):
    return {v.kind for v in checker.check(history, replicas)}


def test_a_clean_history_is_clean():
    assert checker.check(*clean()) == []


def test_a_record_that_failed_may_be_there_or_not():
    history, replicas = clean()
    seq = RECORDS - 1
    time, partition, offset = history.producers[1].acks.pop(seq)
    history.producers[1].failures[seq] = time, partition, "timed out"
    assert kinds(history, replicas) == set()
    for logs in replicas.values():
        del logs[partition].values[offset], logs[partition].batches[-1]
        logs[partition].end -= 1
    history.consumers[1].events = [e for e in history.consumers[1].events if e[1:4] != ("R", partition, offset)]
    assert kinds(history, replicas) == set()


def test_an_acknowledgement_without_an_offset_wants_the_record_somewhere():
    history, replicas = clean()
    time, partition, offset = history.producers[0].acks[3]
    history.producers[0].acks[3] = time, partition, -1
    assert kinds(history, replicas) == set()
    history.producers[0].sends[99] = time, partition
    history.producers[0].acks[99] = time, partition, -1
    assert kinds(history, replicas) == {"lost", "never read"}


def every(replicas, partition):
    return [logs[partition] for logs in replicas.values()]


def lose_the_end(history, replicas):
    for log in every(replicas, 0):
        log.end -= 1
        del log.batches[-1], log.values[log.end]


def replace_a_record(history, replicas):
    for log in every(replicas, 0):
        log.values[10] = "a:100"
    history.producers[0].sends[100] = 1, 0


def duplicate(history, replicas):
    for log in every(replicas, 1):
        log.values[log.end] = log.values[7]
        log.batches.append(log_reader.Batch(log.end, log.end, 1, 1))
        log.end += 1


def reorder(history, replicas):
    """Two records of one producer change places, acknowledged so and read so: no offset is wrong, only the order."""
    for log in every(replicas, 0):
        log.values[4], log.values[6] = log.values[6], log.values[4]
    acks = history.producers[0].acks
    (x, y) = (next(s for s, a in acks.items() if a[1:] == (0, o)) for o in (4, 6))
    acks[x], acks[y] = (acks[x][0], *acks[y][1:]), (acks[y][0], *acks[x][1:])
    for member in history.consumers:
        member.events = [(t, k, p, o, replicas[1][0].values[o] if (k, p) == ("R", 0) else i) for t, k, p, o, i in member.events]


def forget_a_commit(history, replicas):
    second = history.consumers[1]
    at = next(i for i, e in enumerate(second.events) if e[1:3] == ("P", 1))
    time, _, partition, offset, _ = second.events[at]
    second.events[at] = time, "P", partition, offset - 3, ""
    second.events[at + 1:at + 1] = [(time, "R", partition, o, replicas[1][partition].values[o]) for o in range(offset - 3, offset)]


def forget_all_commits(history, replicas):
    second = history.consumers[1]
    at = next(i for i, e in enumerate(second.events) if e[1:3] == ("P", 0))
    time, _, partition, offset, _ = second.events[at]
    second.events[at] = time, "P", partition, -1, ""
    second.events[at + 1:at + 1] = [(time, "R", partition, o, replicas[1][partition].values[o]) for o in range(offset)]


def diverge(history, replicas):
    log = replicas[2][1]
    log.batches[5] = log_reader.Batch(5, 5, 1, 12345)


def diverge_in_epoch(history, replicas):
    log = replicas[3][0]
    log.batches[-1] = log_reader.Batch(log.batches[-1].base_offset, log.batches[-1].last_offset, 2, log.batches[-1].checksum)


def lag_for_ever(history, replicas):
    log = replicas[3][0]
    del log.batches[-4:]
    log.end -= 4


def punch_a_hole(history, replicas):
    del replicas[1][1].batches[8]


def invent(history, replicas):
    for log in every(replicas, 0):
        log.values[log.end] = "ghost:1"
        log.batches.append(log_reader.Batch(log.end, log.end, 1, 1))
        log.end += 1


def read_dirty(history, replicas):
    """A member read a record that a later leader has replaced."""
    events = history.consumers[0].events
    at = next(i for i, e in enumerate(events) if e[1] == "R")
    events[at] = (*events[at][:4], "b:999")


def skip(history, replicas):
    events = history.consumers[0].events
    del events[next(i for i, e in enumerate(events) if e[1] == "R" and e[3] == 5)]


def stop_reading(history, replicas):
    events = history.consumers[1].events
    last = max(i for i, e in enumerate(events) if e[1] == "R")
    del events[last]


def read_again(history, replicas):
    events = history.consumers[0].events
    at = next(i for i, e in enumerate(events) if e[1] == "R" and e[3] == 5)
    events[at + 1:at + 1] = [events[at]]


def die(history, replicas):
    history.producers[0].fatal = "OUT_OF_ORDER_SEQUENCE_NUMBER"


def vanish(history, replicas):
    history.consumers[0].ended = False


MUTATIONS = {
    lose_the_end: "lost", replace_a_record: "lost", duplicate: "duplicated", reorder: "reordered", forget_a_commit: "offset regression",
    forget_all_commits: "offset regression", diverge: "divergence", diverge_in_epoch: "divergence", lag_for_ever: "not converged",
    punch_a_hole: "hole", invent: "never sent", read_dirty: "read what is not there", skip: "skipped", stop_reading: "never read",
    read_again: "read again", die: "fatal client error", vanish: "client died",
}


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda m: m.__name__)
def test_damage_is_found(mutate):
    history, replicas = clean()
    mutate(history, replicas)
    assert MUTATIONS[mutate] in kinds(history, replicas)


def test_the_longest_gap_is_that_of_the_worst_partition():
    acks = sorted([(t * 10**9, 0) for t in range(11)] + [(t * 10**9, 1) for t in (0, 1, 2, 7, 8, 9, 10)])
    assert longest_gap(acks, 0, 10 * 10**9) == 5.0
    assert longest_gap(acks, 0, 10 * 10**9, partition=0) == 1.0
    assert longest_gap(acks, 0, 14 * 10**9, partition=0) == 4.0


def test_the_reader_stops_at_a_torn_batch(tmp_path):
    record = bytes([2 * n for n in (7,)]) + b"\0\0\0\x01\x06a:1\0"[:8]
    body = struct.pack(">hiqqqhii", 0, 0, 0, 0, -1, -1, -1, 1) + record
    batch = struct.pack(">qiiBI", 5, 4 + 1 + 4 + len(body), 3, 2, 77) + body
    (tmp_path / f"{5:020}.log").write_bytes(batch + batch[:-4])
    log = log_reader.read(tmp_path)
    assert (log.start, log.end, log.batches) == (5, 6, [log_reader.Batch(5, 5, 3, 77)])
    assert log.values == {5: "a:1"}
