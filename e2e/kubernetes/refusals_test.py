"""Who may not, is told so, and the broker says why."""

import re
import subprocess
import time

import pytest

from e2e.lib import kcat
from e2e.lib.process import Process, wait_until

DENIED = "Topic authorization failed"


@pytest.fixture(scope="module")
def stranger(scene):
    """A User without any ACL."""
    scene.apply("User", "stranger", authentication={"type": "ScramSha512"})
    yield "stranger"
    scene.delete("User", "stranger")


def test_an_acl_opens_a_topic_within_moments_and_its_end_closes_it(scene, stranger, took):
    config = scene.client(stranger)
    assert DENIED in scene.why_not(stranger, "orders", config)
    began = time.monotonic()
    scene.kubernetes.apply(scene.resource("ACL", "stranger", {
        "clusterRef": {"name": scene.cluster}, "userRef": {"name": stranger},
        "rules": [{"resource": {"type": "Topic", "name": "orders"}, "operations": ["Write", "Describe"]}]}))
    wait_until(lambda: not scene.why_not(stranger, "orders", config), 30, "the ACL works", every=0.05)
    took("kubectl apply of an ACL until a record is acknowledged", time.monotonic() - began)
    # Writing is all that it may.
    code, _, error = scene.consume(stranger, "orders", config=config, check=False)
    assert code != 0 and DENIED in error
    began = time.monotonic()
    scene.delete("ACL", "stranger")
    wait_until(lambda: DENIED in scene.why_not(stranger, "orders", config), 30, "the refusal is back", every=0.05)
    took("kubectl delete of an ACL until refused", time.monotonic() - began)


def test_a_denial_is_one_line_in_the_audit_log(scene, stranger):
    before = len(scene.broker_log())
    assert DENIED in scene.why_not(stranger, "orders")
    scene.wait_log(before, '"denied"', "User:stranger", "TOPIC:orders", "DESCRIBE")


@pytest.fixture
def told(scene, tmp_path):
    """told(settings, pattern): lists the cluster with kcat and returns the line of its complaint, as soon as it comes."""
    def run(config, pattern):
        with Process(["kcat", "-L", "-m", "20", *kcat.settings(config)], log=tmp_path / "kcat.log") as process:
            return process.wait_line(pattern, 20).string
    return run


AUTHENTICATION_FAILED = r"(?i)sasl authentication error: (.*?) \("


def test_a_wrong_password_is_refused(scene, told):
    before = len(scene.broker_log())
    told(scene.client("writer", **{"sasl.password": "wrong"}), AUTHENTICATION_FAILED)
    scene.wait_log(before, "authentication failed", '"user":"writer"', "SCRAM-SHA-512")


def test_an_unknown_user_is_refused_in_the_same_words(scene, told):
    wrong = told(scene.client("writer", **{"sasl.password": "wrong"}), AUTHENTICATION_FAILED)
    unknown = told(scene.client("writer", **{"sasl.username": "nobody-at-all"}), AUTHENTICATION_FAILED)
    assert re.search(AUTHENTICATION_FAILED, wrong)[1] == re.search(AUTHENTICATION_FAILED, unknown)[1]


def test_a_client_that_trusts_another_ca_refuses_and_the_broker_says_so(scene, told, tmp_path):
    other = tmp_path / "other.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=other",
                    "-keyout", tmp_path / "other.key", "-out", other, "-days", "1"], check=True, capture_output=True)
    before = len(scene.broker_log())
    told(scene.client("writer", **{"ssl.ca.location": other}), "(?i)certificate verify failed")
    scene.wait_log(before, "handshake failed", "does not trust our certificate")


def test_a_client_refuses_an_address_that_the_certificate_does_not_name(scene, told):
    config = scene.client("writer")
    port = config["bootstrap.servers"].rsplit(":", 1)[1]
    # The same broker by way of another node, whose address is not in the certificate.
    told(config | {"bootstrap.servers": f"{scene.kubernetes.node_address('n1')}:{port}"}, "(?i)certificate verify failed")


def test_plaintext_on_the_tls_port_is_refused(scene, told):
    before = len(scene.broker_log())
    told({"bootstrap.servers": scene.client("writer")["bootstrap.servers"], "security.protocol": "PLAINTEXT"}, "(?i)disconnected|fail")
    scene.wait_log(before, "handshake failed", "plaintext on a TLS port")


def test_a_client_without_sasl_is_refused(scene, told):
    before = len(scene.broker_log())
    without = {"security.protocol": "SSL", "sasl.mechanism": None, "sasl.username": None, "sasl.password": None}
    told(scene.client("writer", **without), "(?i)disconnected|fail")
    scene.wait_log(before, "before authentication")
