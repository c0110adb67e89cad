"""Reads the segments of a partition from a node's disk: record batches of magic 2, uncompressed, as the clients here write them."""

import struct
from dataclasses import dataclass, field

_HEADER = struct.Struct(">qiiBIhiqqqhii")  # 61 bytes: base offset … record count


@dataclass(frozen=True)
class Batch:
    base_offset: int
    last_offset: int
    leader_epoch: int
    checksum: int


@dataclass
class Log:
    start: int = 0
    end: int = 0
    batches: list = field(default_factory=list)
    values: dict = field(default_factory=dict)  # offset -> "producer:seq"


def _varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at
        shift += 7


def _values(data, at, count, base_offset, into):
    for _ in range(count):
        length, at = _varint(data, at)
        end = at + length
        at += 1  # attributes
        _, at = _varint(data, at)
        delta, at = _varint(data, at)
        size, at = _varint(data, at)
        at += max(size, 0)
        size, at = _varint(data, at)
        value = data[at:at + max(size, 0)].split(b":", 2)  # producer:seq:padding
        into[base_offset + delta] = b":".join(value[:2]).decode(errors="replace")
        at = end


def read(folder, with_values=True):
    """The Log of `<data>/<topic>-<partition>`; what is after a torn batch is not part of it."""
    log = Log()
    segments = sorted(folder.glob("*.log"))
    log.start = log.end = int(segments[0].stem) if segments else 0
    for segment in segments:
        data = segment.read_bytes()
        at = 0
        while at + _HEADER.size <= len(data):
            base, length, epoch, magic, checksum, attributes, last_delta, _, _, _, _, _, count = _HEADER.unpack_from(data, at)
            if length <= 0 or at + 12 + length > len(data) or magic != 2:
                break
            log.batches.append(Batch(base, base + last_delta, epoch, checksum))
            if with_values and not attributes & 0x27:  # neither compressed nor a control batch
                _values(data, at + _HEADER.size, count, base, log.values)
            log.end = base + last_delta + 1
            at += 12 + length
    return log
