"""The smallest Kafka client: one topic, one record, acknowledged. Native, so that the broker's time is what one sees."""

import socket
import struct
import time

from e2e.lib.admin import exchange

_PRODUCE, _METADATA = 0, 3
_TABLE = []
for _byte in range(256):
    for _ in range(8):
        _byte = (_byte >> 1) ^ (0x82F63B78 if _byte & 1 else 0)
    _TABLE.append(_byte)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _string(text):
    return struct.pack(">h", len(text)) + text.encode()


def _varint(n):
    n = (n << 1) ^ (n >> 31)
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def batch(value):
    """One record without a key as a batch of magic 2."""
    record = b"\0" + _varint(0) + _varint(0) + _varint(-1) + _varint(len(value)) + value + _varint(0)
    record = _varint(len(record)) + record
    now = int(time.time() * 1000)
    body = struct.pack(">hiqqqhii", 0, 0, now, now, -1, -1, -1, 1) + record  # attributes to record count
    tail = struct.pack(">iBI", 0, 2, crc32c(body)) + body  # leader epoch, magic, checksum
    return struct.pack(">qi", 0, len(tail)) + tail


class Connection:
    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self._socket = socket.create_connection((host, int(port)), timeout=5)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self):
        self._socket.close()

    def call(self, api, version, body):
        frame = struct.pack(">hhi", api, version, 7) + _string("bench") + body
        return exchange(self._socket, frame)[4:]

    def topic_error(self, topic):
        """Metadata v4, which creates the topic where that is allowed: the worst error of the topic and its partitions."""
        answer = self.call(_METADATA, 4, struct.pack(">i", 1) + _string(topic) + b"\1")
        at, errors = 4, []

        def take(form):
            nonlocal at
            values = struct.unpack_from(">" + form, answer, at)
            at += struct.calcsize(">" + form)
            return values[0]

        def skip_string():
            nonlocal at
            length = take("h")
            at += max(0, length)

        for _ in range(take("i")):  # brokers
            take("i"), skip_string(), take("i"), skip_string()
        skip_string(), take("i")  # cluster id, controller
        for _ in range(take("i")):
            errors.append(take("h"))
            skip_string(), take("b")
            for _ in range(take("i")):
                errors.append(take("h"))
                take("i"), take("i")
                for _ in range(2):  # replicas, in-sync replicas
                    at += 4 * take("i")
        return next((error for error in errors if error), 0)

    def produce(self, topic, value=b"hello"):
        """Produce v3, acks=all, partition 0: the error code."""
        records = batch(value)
        body = struct.pack(">hhii", -1, -1, 10_000, 1) + _string(topic) + struct.pack(">iii", 1, 0, len(records)) + records
        answer = self.call(_PRODUCE, 3, body)
        return struct.unpack_from(">h", answer, 4 + 2 + len(topic) + 4 + 4)[0]


def first_record(address, topic, seconds):
    """Tries again every 2 ms, as if the broker were up already, until one record is acknowledged by all."""
    deadline = time.monotonic() + seconds
    connection = None
    while time.monotonic() < deadline:
        try:
            connection = connection or Connection(address)
            if connection.topic_error(topic) == 0 and connection.produce(topic) == 0:
                return time.monotonic()
        except OSError:
            if connection:
                connection.close()
            connection = None
        time.sleep(0.002)
    raise TimeoutError(f"{address}: no record acknowledged within {seconds} s")
