"""What a test asks of a cluster, without a JVM: who leads what, create a topic, move replicas. Synchronous, one connection."""

import ctypes
import os
import socket
import struct
import threading

_METADATA, _CREATE_TOPICS, _DELETE_TOPICS, _ELECT_LEADERS, _REASSIGN, _DESCRIBE_QUORUM = 3, 19, 20, 43, 45, 55
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_thread_network = threading.Lock()
TOPIC_ALREADY_EXISTS = 36


def connect(address, port, namespace=None, seconds=2.0):
    """A TCP connection, from inside a network namespace if one is named: a socket stays in the one it was made in."""
    if namespace is None:
        return socket.create_connection((address, port), timeout=seconds)
    with _thread_network, open("/proc/thread-self/ns/net") as ours, open(f"/run/netns/{namespace}") as theirs:
        if _libc.setns(theirs.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        try:
            made = socket.socket()
        finally:
            _libc.setns(ours.fileno(), _CLONE_NEWNET)
    made.settimeout(seconds)
    try:
        made.connect((address, port))
    except BaseException:
        made.close()
        raise
    return made


class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        value = struct.unpack_from(">" + form, self.data, self.at)[0]
        self.at += struct.calcsize(">" + form)
        return value

    def raw(self, count):
        self.at += count
        return self.data[self.at - count:self.at]

    def text(self):
        length = self.take("h")
        return None if length < 0 else self.raw(length).decode()

    def array(self, one):
        return [one() for _ in range(self.take("i"))]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.take("B")
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def compact_text(self):
        length = self.varint()
        return None if length == 0 else self.raw(length - 1).decode()

    def compact_array(self, one):
        return [one() for _ in range(self.varint() - 1)]

    def tags(self):
        for _ in range(self.varint()):
            self.varint()
            self.raw(self.varint())


def _exactly(connection, count):
    data = bytearray()
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionError("closed by the broker")
        data += part
    return bytes(data)


def exchange(connection, frame):
    """Sends one request on a socket; the answer from its correlation id on."""
    connection.sendall(struct.pack(">i", len(frame)) + frame)
    return _exactly(connection, struct.unpack(">i", _exactly(connection, 4))[0])


def _text(value):
    return struct.pack(">h", -1) if value is None else struct.pack(">h", len(value)) + value.encode()


def _array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


def _compact(text):
    return bytes([len(text) + 1]) + text.encode()


def _compact_array(items):
    return bytes([len(items) + 1]) + b"".join(items)


class Partition:
    def __init__(self, error, leader, replicas, isr):
        self.error, self.leader, self.replicas, self.isr = error, leader, replicas, isr

    def __repr__(self):
        return f"leader {self.leader} replicas {self.replicas} isr {self.isr}"


class Refused(Exception):
    """The broker's answer carries an error; `code` is Kafka's."""

    def __init__(self, what, code):
        super().__init__(f"{what}: error {code}")
        self.code = code


class Admin:
    """A connection to one broker or controller listener. Errors of the network are OSError, refusals `Refused`."""

    def __init__(self, address, port, namespace=None, seconds=5.0):
        self._socket = connect(address, port, namespace, seconds)

    def close(self):
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _call(self, api, version, body, flexible=False):
        frame = struct.pack(">hhi", api, version, 1) + _text("test") + (b"\0" if flexible else b"") + body
        answer = _Reader(exchange(self._socket, frame))
        answer.take("i")
        if flexible:
            answer.tags()
        return answer

    def metadata(self, topic=None, create=False):
        """({node: (host, port)}, {topic: {partition: Partition}}); without a topic only the nodes. `create`: as a producer asks."""
        answer = self._call(_METADATA, 4, _array([_text(topic)] if topic else []) + (b"\1" if create else b"\0"))
        answer.take("i")
        nodes = answer.array(lambda: (answer.take("i"), answer.text(), answer.take("i"), answer.text()))
        answer.text(), answer.take("i")
        topics = {}

        def partition():
            error, number, leader = answer.take("h"), answer.take("i"), answer.take("i")
            return number, Partition(error, leader, answer.array(lambda: answer.take("i")), answer.array(lambda: answer.take("i")))

        for _ in range(answer.take("i")):
            error, name, _ = answer.take("h"), answer.text(), answer.take("b")
            topics[name] = dict(answer.array(partition)) if error == 0 else {}
        return {node: (host, port) for node, host, port, _ in nodes}, topics

    def create_topic(self, name, partitions, replication_factor, configs=None):
        pairs = [_text(k) + _text(str(v)) for k, v in (configs or {}).items()]
        topic = _text(name) + struct.pack(">ih", partitions, replication_factor) + _array([]) + _array(pairs)
        answer = self._call(_CREATE_TOPICS, 4, _array([topic]) + struct.pack(">ib", 10_000, 0))
        answer.take("i"), answer.take("i"), answer.text()
        if error := answer.take("h"):
            raise Refused(f"create {name} ({answer.text()})", error)

    def delete_topic(self, name):
        answer = self._call(_DELETE_TOPICS, 3, _array([_text(name)]) + struct.pack(">i", 10_000))
        answer.take("i"), answer.take("i"), answer.text()
        if error := answer.take("h"):
            raise Refused(f"delete {name}", error)

    def quorum(self):
        """(leader, epoch, {voter: log end offset}, {observer: log end offset}) of the metadata log."""
        partition = _compact_array([struct.pack(">i", 0) + b"\0"])
        answer = self._call(_DESCRIBE_QUORUM, 1, _compact_array([_compact("__cluster_metadata") + partition + b"\0"]) + b"\0", flexible=True)
        if error := answer.take("h"):
            raise Refused("describe the quorum", error)

        def replica():
            one = answer.take("i"), answer.take("q")
            answer.take("q"), answer.take("q"), answer.tags()
            return one

        answer.varint(), answer.compact_text(), answer.varint(), answer.take("i")
        if error := answer.take("h"):
            raise Refused("describe the quorum", error)
        leader, epoch, _ = answer.take("i"), answer.take("i"), answer.take("q")
        return leader, epoch, dict(answer.compact_array(replica)), dict(answer.compact_array(replica))

    def reassign(self, topic, assignment):
        """Starts moving partitions: {partition: [node, …]}."""
        parts = [struct.pack(">i", p) + _compact_array([struct.pack(">i", r) for r in replicas]) + b"\0" for p, replicas in assignment.items()]
        body = struct.pack(">i", 10_000) + _compact_array([_compact(topic) + _compact_array(parts) + b"\0"]) + b"\0"
        answer = self._call(_REASSIGN, 0, body, flexible=True)
        answer.take("i")
        errors = [answer.take("h")]
        answer.compact_text()

        def partition():
            answer.take("i"), errors.append(answer.take("h")), answer.compact_text(), answer.tags()

        answer.compact_array(lambda: (answer.compact_text(), answer.compact_array(partition), answer.tags()))
        if any(errors):
            raise Refused(f"reassign {topic}", next(e for e in errors if e))

    def elect_preferred(self, topic, partitions):
        """Gives leadership back to the first replica of each partition; those that have it already are no error."""
        wanted = _array([_text(topic) + _array([struct.pack(">i", p) for p in partitions])])
        self._call(_ELECT_LEADERS, 1, struct.pack(">b", 0) + wanted + struct.pack(">i", 10_000))
