"""Sessions that end, and are renewed on their connection (KIP-368): Java's clients, and single steps by hand, against both brokers."""

import difflib
import re
import struct
import time

from e2e.conformance.support import java
from e2e.conformance.support.logins import SESSION_MS
from e2e.conformance.support.wire import METADATA, Wire, header
from e2e.lib.kcat import kcat

HANDSHAKE, AUTHENTICATE = 17, 36


def test_java_clients_renew_their_sessions_on_both_brokers(logins):
    oracle, ours = (java.run("Sessions", side.bootstrap, side.short).out.splitlines() for side in logins)
    assert len(oracle) == 11
    difference = list(difflib.unified_diff(oracle, ours, "Apache Kafka", "Millrace", "", "", 1, ""))
    assert not difference, "\n".join(difference)
    metrics = logins[1].server.metrics()

    def total(name):
        return sum(float(value) for value in re.findall(rf'^{name}{{listener="SHORT"}} (\S+)$', metrics, re.M))
    assert total("kafka_server_socket_server_metrics_successful_reauthentication_total") >= 6
    assert total("kafka_server_socket_server_metrics_failed_reauthentication_total") == 1
    assert total("kafka_server_socket_server_metrics_expired_connections_killed_count") == 0


class Steps(Wire):
    """SASL by hand."""

    def handshake(self, mechanism="PLAIN", version=1):
        """The error code, or None when the connection was closed."""
        self.send(header(HANDSHAKE, version) + struct.pack(">h", len(mechanism)) + mechanism.encode())
        answer = self.receive()
        return None if answer is None else struct.unpack_from(">h", answer, 4)[0]

    def token(self, user="alice", version=1):
        """(error code, message, session lifetime), or None when the connection was closed."""
        token = f"\0{user}\0{user}-secret".encode()
        self.send(header(AUTHENTICATE, version) + struct.pack(">i", len(token)) + token)
        answer = self.receive()
        if answer is None:
            return None
        code, size = struct.unpack_from(">hh", answer, 4)
        message = "" if size < 0 else answer[8:8 + size].decode()
        rest = answer[8 + max(size, 0):]
        after = 4 + max(0, struct.unpack_from(">i", rest)[0])
        return code, message, struct.unpack_from(">q", rest, after)[0] if version > 0 else None

    def metadata(self):
        """Whether it is served. (In the middle of a login Kafka answers with an error before it closes; we close.)"""
        self.send(header(METADATA, 1) + struct.pack(">i", 0))
        answer = self.receive()
        return answer is not None and struct.unpack_from(">i", answer, 4)[0] > 0


def scripted(port, other):
    """What one broker does, step by step. `other`: the listener without a limit."""
    lines = []

    def tell(what, *values):
        lines.append(f"{what}: {values}")
    with Steps(port) as a:
        tell("first login", a.handshake(), a.token(), a.metadata())
        tell("again", a.handshake(), a.token(), a.metadata())
        tell("again within a second", a.handshake(), a.metadata())
        tell("a token without a handshake", a.token(), a.metadata())
    with Steps(port) as a:
        tell("somebody else", a.handshake(), a.token(), a.handshake(), a.token("bob"), a.metadata())
    with Steps(port) as a:
        tell("another mechanism", a.handshake(), a.token(), a.handshake("SCRAM-SHA-256"), a.token())
    with Steps(port) as a:
        tell("an unknown mechanism", a.handshake(), a.token(), a.handshake("NONE"))
    with Steps(port) as a:
        tell("a request in between", a.handshake(), a.token(), a.handshake(), a.metadata())
    with Steps(other) as a:
        tell("a session without an end", a.handshake(), a.token(), a.handshake(), a.metadata())
    with Steps(port) as expired, Steps(port) as renewed, Steps(port) as old:
        tell("logins", expired.handshake(), expired.token(), renewed.handshake(), renewed.token(), old.handshake(), old.token(version=0))
        time.sleep(SESSION_MS / 1000 + 0.1)  # the real clock of two brokers
        tell("after its end", expired.metadata())
        tell("renewed after its end", renewed.handshake(), renewed.token(), renewed.metadata())
        tell("a client that was not told", old.metadata())
    return lines


def test_each_step_of_a_reauthentication_is_kafkas(logins):
    oracle, ours = (scripted(side.ports.short, side.ports.sasl) for side in logins)
    difference = list(difflib.unified_diff(oracle, ours, "Apache Kafka", "Millrace", "", "", 1, ""))
    assert not difference, "\n".join(difference)


def test_librdkafka_connects_anew_when_its_session_has_ended(logins):
    side = logins[1]
    config = ["-X", "security.protocol=sasl_plaintext", "-X", "sasl.mechanism=PLAIN", "-X", "sasl.username=alice",
              "-X", "sasl.password=alice-secret"]
    for _ in range(2):
        assert kcat("-b", side.short, "-L", *config)[0] == 0
