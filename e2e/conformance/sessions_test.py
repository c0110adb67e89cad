"""Sessions that end, and are renewed on their connection (KIP-368): Java's clients, and single steps by hand, against both brokers."""

import difflib
import re
import time

from e2e.conformance.support import java, librdkafka
from e2e.conformance.support.logins import SESSION_MS
from e2e.conformance.support.sasl_steps import Steps
from e2e.lib.kcat import kcat

RENEWED = "kafka_server_socket_server_metrics_successful_reauthentication_total"
ENDED = "kafka_server_socket_server_metrics_expired_connections_killed_count"


def test_java_clients_renew_their_sessions_on_both_brokers(logins):
    oracle, ours = (java.run("Sessions", side.bootstrap, side.short).out.splitlines() for side in logins)
    assert len(oracle) == 11
    difference = list(difflib.unified_diff(oracle, ours, "Apache Kafka", "Millrace", "", "", 1, ""))
    assert not difference, "\n".join(difference)
    assert total(logins[1], RENEWED) >= 6
    assert total(logins[1], "kafka_server_socket_server_metrics_failed_reauthentication_total") == 1
    assert total(logins[1], ENDED) == 0


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


def total(side, name):
    return sum(float(value) for value in re.findall(rf'^{name}{{listener="SHORT"}} (\S+)$', side.server.metrics(), re.M))


def test_librdkafka_renews_its_session(logins):
    side = logins[1]
    before = total(side, RENEWED), total(side, ENDED)
    code, answers, error = librdkafka.log_in(side.short, {"sasl.mechanism": "PLAIN", "sasl.username": "alice", "sasl.password": "alice-secret"}, 5)
    assert code == 0 and answers > 10, error
    assert total(side, RENEWED) >= before[0] + 2, error
    assert total(side, ENDED) == before[1]


def test_a_client_that_does_not_renew_its_session_connects_anew(logins):
    """librdkafka 2.0, as Debian's kcat has it."""
    config = ["-X", "security.protocol=sasl_plaintext", "-X", "sasl.mechanism=PLAIN", "-X", "sasl.username=alice",
              "-X", "sasl.password=alice-secret"]
    for _ in range(2):
        assert kcat("-b", logins[1].short, "-L", *config)[0] == 0
