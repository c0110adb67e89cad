"""Holds what clients saw against what the replicas have. Nothing here knows which system or which fault it was.

Promises of idempotent producers with acks=all: an acknowledged record is in every replica's log at the offset that was told, once,
and a producer's records stand in each partition in the order of sending. Of groups: what a member reads is in the final log, without
a gap from where it began; a commit that was acknowledged is never forgotten; together the members read all that was acknowledged.
"""

from collections import defaultdict
from dataclasses import dataclass

MOST = 5  # examples of one kind


@dataclass(frozen=True)
class Violation:
    kind: str
    text: str

    def __str__(self):
        return f"{self.kind}: {self.text}"


class _Found:
    def __init__(self):
        self.by_kind = defaultdict(list)

    def add(self, kind, text):
        self.by_kind[kind].append(text)

    def violations(self):
        out = []
        for kind, texts in self.by_kind.items():
            out += [Violation(kind, text) for text in texts[:MOST]]
            if len(texts) > MOST:
                out.append(Violation(kind, f"… and {len(texts) - MOST} more"))
        return out


def check(history, replicas, at_rest=True):
    """Violations, at most a few per kind. `replicas`: {node: {partition: Log}}; `at_rest`: the cluster is whole, the producers have
    ended and the consumers had time to read all, so that replicas must be equal and groups complete."""
    found = _Found()
    logs = _longest(replicas)
    _check_replicas(replicas, logs, found, at_rest)
    _check_producers(history, logs, found)
    for group in sorted({c.group for c in history.consumers}):
        members = [c for c in history.consumers if c.group == group]
        _check_reads(members, logs, found)
        _check_commits(group, members, found)
        if at_rest:
            _check_complete(group, members, history, found)
    for client in (*history.producers, *history.consumers):
        if client.fatal:
            found.add("fatal client error", f"{client.name}: {client.fatal}")
        elif at_rest and not client.ended:
            found.add("client died", client.name)
    return found.violations()


def _longest(replicas):
    logs = {}
    for node in sorted(replicas):
        for partition, log in replicas[node].items():
            if partition not in logs or log.end > logs[partition].end:
                logs[partition] = log
    return logs


def _check_replicas(replicas, logs, found, at_rest):
    for node in sorted(replicas):
        for partition, log in sorted(replicas[node].items()):
            reference = {b.base_offset: b for b in logs[partition].batches}
            for batch in log.batches:
                other = reference.get(batch.base_offset)
                if other != batch and batch.base_offset >= logs[partition].start:
                    found.add("divergence", f"partition {partition}: node {node} has {batch}, another {other}")
                    break
            previous = log.start
            for batch in log.batches:
                if batch.base_offset != previous:
                    found.add("hole", f"partition {partition} of node {node}: offset {previous} is followed by {batch.base_offset}")
                previous = batch.last_offset + 1
            if at_rest and log.end != logs[partition].end:
                found.add("not converged", f"partition {partition}: node {node} ends at {log.end}, another at {logs[partition].end}")


def _check_producers(history, logs, found):
    known = {p.name: p for p in history.producers}
    anywhere = {(partition, identity) for partition, log in logs.items() for identity in log.values.values()}
    for producer in history.producers:
        for seq, (_, partition, offset) in producer.acks.items():
            if offset < 0:  # the broker had it already and remembered no offset
                if (partition, f"{producer.name}:{seq}") not in anywhere:
                    found.add("lost", f"{producer.name}:{seq} was acknowledged in {partition}; it is nowhere")
                continue
            there = logs[partition].values.get(offset) if partition in logs else None
            if there != f"{producer.name}:{seq}":
                found.add("lost", f"{producer.name}:{seq} was acknowledged at {partition}@{offset}; there is {there or 'nothing'}")
    for partition, log in sorted(logs.items()):
        seen, last = {}, {}
        for offset in sorted(log.values):
            name, _, number = log.values[offset].partition(":")
            producer = known.get(name)
            sent = producer.sends.get(int(number)) if producer and number.isdigit() else None
            if sent is None or sent[1] != partition:
                found.add("never sent", f"{partition}@{offset} has {log.values[offset]!r}")
                continue
            if log.values[offset] in seen:
                found.add("duplicated", f"{log.values[offset]} is at {partition}@{seen[log.values[offset]]} and @{offset}")
            elif int(number) < last.get(name, -1):
                found.add("reordered", f"{log.values[offset]} at {partition}@{offset} comes after {name}:{last[name]}")
            seen.setdefault(log.values[offset], offset)
            last[name] = max(last.get(name, -1), int(number))


def _check_reads(members, logs, found):
    for member in members:
        position = {}
        for _, kind, partition, offset, identity in member.events:
            if kind == "P":
                position[partition] = max(offset, 0)
            elif kind == "R":
                there = logs[partition].values.get(offset) if partition in logs else None
                if there != identity:
                    found.add("read what is not there", f"{member.name} read {identity} at {partition}@{offset}; there is {there or 'nothing'}")
                expected = position.get(partition)
                if expected is not None and offset != expected:
                    kind_of = "skipped" if offset > expected else "read again"
                    found.add(kind_of, f"{member.name} read {partition}@{offset} where {expected} was next")
                position[partition] = offset + 1


def _check_commits(group, members, found):
    events = sorted((e for m in members for e in m.events if e[1] in "CP"), key=lambda e: e[0])
    committed = {}
    for _, kind, partition, offset, _ in events:
        highest = committed.get(partition, -1)
        if kind == "P" and offset < highest:
            found.add("offset regression", f"group {group}: {partition} was committed at {highest}, later {offset} was found")
        elif kind == "C":
            committed[partition] = max(highest, offset)


def _check_complete(group, members, history, found):
    read = {(e[2], e[4]) for m in members for e in m.events if e[1] == "R"}
    for producer in history.producers:
        for seq, (_, partition, offset) in producer.acks.items():
            if (partition, f"{producer.name}:{seq}") not in read:
                found.add("never read", f"group {group}: {producer.name}:{seq} at {partition}@{offset}")
