"""What the Python programs share: where the broker is, the records that they send, and how a check ends.

A program is called with the names of its checks. Each prints what it did and ends with `PASS <check> <records>`; the first
thing that is not as it should be is an exception, and exit code 1.
"""

import os
import sys
import time
from dataclasses import dataclass, field

BOOTSTRAP = os.environ["CLIENT_BOOTSTRAP"]  # SASL_SSL
CA = os.environ["CLIENT_CA"]
USER, PASSWORD = "admin", "admin-secret"  # a super user
LIMITED_USER, LIMITED_PASSWORD = "limited", "limited-secret"  # may do nothing but what ACLs say
PREFIX = os.environ["CLIENT_PREFIX"]  # of every topic, group and transactional id
RECORDS = int(os.environ.get("CLIENT_RECORDS", "2000"))
CODECS = ("gzip", "snappy", "lz4", "zstd")
FIRST_TIMESTAMP = 1_700_000_000_000


@dataclass
class Record:
    key: bytes | None
    value: bytes | None
    timestamp: int
    partition: int
    headers: list = field(default_factory=list)


def record(i):
    """Record number `i` of a topic with three partitions: null keys, null and empty values (never both null), repeated headers."""
    value = None if i % 50 == 49 else b"" if i % 50 == 24 else b"%d:" % i + bytes([i % 256]) * (i % 200)
    headers = [("n", b"%d" % i), ("empty", b"")] + ([("n", b"again")] if i % 3 == 0 else [])
    return Record(None if i % 7 == 0 and value is not None else b"key-%d" % (i % 13), value, FIRST_TIMESTAMP + i, i % 3, headers)


def expected(partition, count=None):
    """The records of one partition, in the order of their offsets."""
    return [record(i) for i in range(RECORDS if count is None else count) if i % 3 == partition]


def name(what):
    return f"{PREFIX}-{what}"


def same(got, wanted, what):
    if got != wanted:
        raise AssertionError(f"{what}: got {shown(got)}, wanted {shown(wanted)}")


def shown(value):
    if isinstance(value, (set, list)) and len(value) > 20:
        return f"{len(value)}, from {min(value)!r} to {max(value)!r}"
    return repr(value)


def same_records(got, wanted, what):
    same(len(got), len(wanted), f"{what}: number of records")
    for at, (one, other) in enumerate(zip(got, wanted)):
        same(one, other, f"{what}: record {at}")


def wait_until(condition, what, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.02)
    return value


def say(text):
    print(f"  {text}", flush=True)


def main(checks):
    for word in sys.argv[1:]:
        count = checks[word]()
        print(f"PASS {word} {count}", flush=True)
