"""Frames that no client sends: each costs its connection and one log line that names the peer, and nothing else."""

import struct

import pytest

from e2e.conformance.support.wire import API_VERSIONS, FETCH, METADATA, PRODUCE, Wire, header
from e2e.lib.kcat import consume, produce
from e2e.lib.process import wait_until

FRAMES = {  # name -> (body, size that is claimed, a word of the reason)
    "an array longer than the frame": (header(METADATA, 1) + struct.pack(">i", 1_000_000_000), None, "malformed"),
    "a negative string length": (header(METADATA, 1) + struct.pack(">ih", 1, -7), None, "malformed"),
    "a body that ends too early": (header(FETCH, 4) + b"\0\0", None, "malformed"),
    "a produce request without its body": (header(PRODUCE, 3), None, "malformed"),
    "half a header": (b"\0\3\0", None, "header"),
    "nothing at all": (b"", None, "header"),
    "a negative size": (b"", -5, "negative frame size"),
    "more than socket.request.max.bytes": (b"", 200_000_000, "allowed are"),
    "an HTTP request": (b"/ HTTP/1.1\r\n\r\n", struct.unpack(">i", b"GET ")[0], "HTTP request"),
    "an unknown API": (header(999, 0), None, "999"),
    "a version below the lowest": (header(FETCH, 0), None, "version"),
    "a version above the highest": (header(METADATA, 99), None, "version"),
    "an API for controllers": (header(62, 0) + b"\0", None, "BrokerRegistration"),
}


def lines_of(broker, peer):
    return [line for line in broker.process.lines if f'"{peer}"' in line]


@pytest.mark.parametrize("name", FRAMES)
def test_a_wrong_frame_closes_only_its_connection(shared_broker, name):
    body, size, reason = FRAMES[name]
    with Wire(shared_broker.port) as other, Wire(shared_broker.port) as wrong:
        assert other.works()
        wrong.send(body, size)
        assert wrong.receive() is None
        wait_until(lambda: lines_of(shared_broker, wrong.name), 5.0, "a log line")
        assert other.works()
        lines = lines_of(shared_broker, wrong.name)
        assert len(lines) == 1 and reason in lines[0]
        assert lines_of(shared_broker, other.name) == []


def test_requests_before_a_wrong_one_are_answered(shared_broker):
    with Wire(shared_broker.port) as wire:
        wire.send(header(API_VERSIONS, 0, correlation=5))
        wire.send(header(999, 0))
        assert struct.unpack_from(">i", wire.receive()) == (5,)
        assert wire.receive() is None


def test_a_version_of_apiversions_that_is_too_high_is_answered_with_version_0(shared_broker):
    with Wire(shared_broker.port) as wire:
        wire.send(header(API_VERSIONS, 99, correlation=9) + b"\0" + b"whatever the future holds")
        answer = wire.receive()
        correlation, error, count = struct.unpack_from(">ihi", answer)
        assert (correlation, error) == (9, 35)
        keys = [struct.unpack_from(">hhh", answer, 10 + 6 * i) for i in range(count)]
        assert len(answer) == 10 + 6 * count and (API_VERSIONS, 0, 4) in keys
        assert wire.works()


def test_a_batch_that_was_damaged_on_the_way_is_refused_and_the_connection_stays(shared_broker):
    produce(shared_broker.bootstrap, "damaged", [b"good"])
    batch = bytearray(61 + 10)
    struct.pack_into(">qiibIhiqqqhii", batch, 0, 0, len(batch) - 12, 0, 2, 0xBAD, 0, 0, 0, 0, -1, -1, -1, 1)
    topic = b"damaged"
    body = struct.pack(">hhii", -1, -1, 5000, 1) + struct.pack(">h", len(topic)) + topic + struct.pack(">iii", 1, 0, len(batch)) + bytes(batch)
    with Wire(shared_broker.port) as wire:
        wire.send(header(PRODUCE, 3) + body)
        answer = wire.receive()
        error, = struct.unpack_from(">h", answer, 4 + 4 + 2 + len(topic) + 4 + 4)
        assert error == 2  # CORRUPT_MESSAGE
        assert wire.works()
    assert consume(shared_broker.bootstrap, "damaged") == [b"good"]


def test_a_peer_that_goes_away_in_the_middle_of_a_frame_harms_nobody(shared_broker):
    for cut in (b"\0\0", b"\0\0\0\x40" + header(METADATA, 1), b"\0\0\0\x40"):
        with Wire(shared_broker.port) as wire:
            wire.socket.sendall(cut)
    with Wire(shared_broker.port) as wire:
        assert wire.works()


def open_connections(broker):
    return sum(float(line.rsplit(" ", 1)[1]) for line in broker.metrics().splitlines()
               if line.startswith("kafka_server_socket_server_metrics_connection_count"))


def test_500_connections_are_served_at_once_and_all_let_go(broker):
    before = open_connections(broker)
    wires = [Wire(broker.port) for _ in range(500)]
    try:
        for wire in wires:
            wire.send(header(API_VERSIONS, 0, correlation=77))
        for wire in wires:
            assert wire.receive() is not None
        assert open_connections(broker) >= before + 500
        assert broker.process.rss_bytes() < 150 << 20
    finally:
        for wire in wires:
            wire.close()
    wait_until(lambda: open_connections(broker) <= before, 10.0, "all connections gone")
