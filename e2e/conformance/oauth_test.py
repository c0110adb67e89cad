"""SASL OAUTHBEARER: tokens of an issuer whose keys come from a file or a URL; Java's clients, kcat, and logins by hand."""

import difflib
import http.server
import ssl
import subprocess
import threading

import pytest

from e2e.conformance.support import java, librdkafka
from e2e.conformance.support.certificates import Ca
from e2e.conformance.support.sasl_steps import Steps
from e2e.lib.broker import Broker
from e2e.lib.kafka import ApacheKafka
from e2e.lib.kcat import kcat
from e2e.lib.process import free_ports, wait_until

PACKAGE = "org.apache.kafka.common.security.oauthbearer."
MODULE = PACKAGE + "OAuthBearerLoginModule required"
JAVA_TOKENS = ("rs256", "rs512", "ps256", "es256", "es384", "stranger", "other-audience", "one-of-two-audiences", "no-audience", "other-issuer",
               "no-subject", "list-of-scopes", "not-yet", "within-skew", "rs256")


class Issuer:
    """Keys and tokens in `folder`; the set of keys is served over HTTP (or HTTPS)."""

    def __init__(self, folder, keystore=None):
        self.folder = folder
        self.keys = "jwks.json"
        self.asked = 0
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.asked += 1
                body = (issuer.folder / issuer.keys).read_bytes()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if keystore:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(keystore)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'s' if keystore else ''}://127.0.0.1:{self.server.server_port}/certs"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def token(self, name):
        return (self.folder / name).read_text()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def settings(ports, issuer, **more):
    """Listeners: PLAINTEXT; FILE, whose keys are in a file; WEB, whose keys are at a URL."""
    plain, file, web, controller = ports
    names = {"PLAINTEXT": plain, "FILE": file, "WEB": web, "CONTROLLER": controller}
    urls = {"file": (issuer.folder / "jwks.json").as_uri(), "web": issuer.url}
    listeners = {}
    for listener, url in urls.items():
        own = f"listener.name.{listener}.oauthbearer."
        listeners |= {own + "sasl.jaas.config": f"{MODULE} ;", own + "sasl.oauthbearer.jwks.endpoint.url": url,
                      own + "sasl.server.callback.handler.class": PACKAGE + "OAuthBearerValidatorCallbackHandler"}
    return {
        "listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in names.items()),
        "advertised.listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in names.items()),
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,FILE:SASL_PLAINTEXT,WEB:SASL_PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
        "sasl.enabled.mechanisms": "OAUTHBEARER",
        "sasl.oauthbearer.expected.audience": "kafka",
        "sasl.oauthbearer.expected.issuer": "https://issuer.example",
        "sasl.oauthbearer.sub.claim.name": "client_id",
        **listeners, **more,
    }


class Side:
    """A running broker and its ports."""

    def __init__(self, server, ports):
        self.server = server
        self.plain, self.file, self.web, self.controller = ports


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("issuer")
    java.run("Bearers", "make", folder)
    made = Issuer(folder)
    yield made
    made.close()


def our_broker_with(folder, ports, config):
    return Broker(folder, {"process.roles": "broker,controller", "node.id": 0, "log.dirs": folder / "data",
                           "offsets.topic.replication.factor": 1, **config})


@pytest.fixture(scope="module")
def brokers(issuer, millrace_broker_program, tmp_path_factory):
    """(Apache Kafka, ours)."""
    theirs, ours = free_ports(4), free_ports(4)
    config = settings(theirs, issuer)
    urls = ",".join(config[f"listener.name.{name}.oauthbearer.sasl.oauthbearer.jwks.endpoint.url"] for name in ("file", "web"))
    oracle = ApacheKafka(tmp_path_factory.mktemp("apache-oauth"), config, options=[f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={urls}"])
    broker = our_broker_with(tmp_path_factory.mktemp("our-oauth"), ours, settings(ours, issuer))
    with oracle, broker:
        broker.process.wait_line("keys of the token issuer loaded", 10)
        yield Side(oracle, theirs), Side(broker, ours)


def same(oracle, ours):
    difference = list(difflib.unified_diff(oracle, ours, "Apache Kafka", "Millrace", "", "", 1, ""))
    assert not difference, "\n".join(difference)


def test_java_clients_fare_the_same_at_both_brokers(brokers, issuer):
    for listener in ("file", "web"):
        oracle, ours = (java.run("Bearers", "try", f"127.0.0.1:{getattr(side, listener)}", issuer.folder, *JAVA_TOKENS).out.splitlines()
                        for side in brokers)
        assert sum("logged in" in line for line in oracle) == 9, oracle
        same(oracle, ours)


def by_hand(port, issuer):
    """What a broker answers to tokens that no client would send; lifetimes to the minute."""
    lines = []
    for name in ("es256", "expired", "no-iat", "unsigned", "unknown-key", "doubled-scope"):
        with Steps(port) as steps:
            steps.handshake("OAUTHBEARER")
            answer = steps.bearer(issuer.token(name))
            if answer[0] == 0:
                answer = (*answer[:2], "until it expires" if 400_000 < answer[2] < 600_000 else answer[2])
            lines.append(f"{name}: {answer} served {steps.metadata()}")
    with Steps(port) as steps:
        steps.handshake("OAUTHBEARER")
        lines.append(f"again: {steps.bearer(issuer.token('es256'))[0]} {steps.handshake('OAUTHBEARER')} "
                     f"{steps.bearer(issuer.token('rs256'))[0]} {steps.metadata()}")
    with Steps(port) as steps:
        steps.handshake("OAUTHBEARER")
        lines.append(f"no message: {steps.authenticate(b'n,,nothing')}")
    return lines


def test_each_answer_to_a_token_is_kafkas(brokers, issuer):
    oracle, ours = (by_hand(side.file, issuer) for side in brokers)
    assert "until it expires" in oracle[0], oracle
    same(oracle, ours)


def test_librdkafka_logs_in_with_a_token_of_the_issuer(brokers, issuer):
    for name in ("rs256", "es256"):
        code, answers, error = librdkafka.log_in(f"127.0.0.1:{brokers[1].web}", {"sasl.mechanism": "OAUTHBEARER", "token": issuer.token(name)})
        assert code == 0 and answers == 1, error
    code, _, error = librdkafka.log_in(f"127.0.0.1:{brokers[1].web}", {"sasl.mechanism": "OAUTHBEARER", "token": issuer.token("stranger")})
    assert code != 0 and "invalid_token" in error, error


def test_a_token_without_a_signature_is_refused(brokers):
    """librdkafka's own kind."""
    config = {"security.protocol": "sasl_plaintext", "sasl.mechanism": "OAUTHBEARER", "enable.sasl.oauthbearer.unsecure.jwt": "true",
              "sasl.oauthbearer.config": "principalClaimName=client_id principal=app-1"}
    words = [word for key, value in config.items() for word in ("-X", f"{key}={value}")]
    code, _, error = kcat("-b", f"127.0.0.1:{brokers[1].file}", "-L", "-m", 3, *words, check=False)
    assert code != 0 and "invalid_token" in error, error
    brokers[1].server.process.wait_line("a bearer token was refused", 5)


def test_a_rotated_key_is_fetched_when_a_token_names_it(brokers, issuer):
    """Last: afterwards the URL's keys are others."""
    def accepted(port):
        with Steps(port) as steps:
            steps.handshake("OAUTHBEARER")
            return steps.bearer(issuer.token("rotated"))[0] == 0
    issuer.keys = "rotated.json"
    for side in brokers:
        asked = issuer.asked
        assert not accepted(side.web)  # the first one only makes the broker look
        wait_until(lambda: accepted(side.web), 10, "the new key")
        assert issuer.asked == asked + 1
        with Steps(side.web) as steps:
            steps.handshake("OAUTHBEARER")
            assert steps.bearer(issuer.token("es256"))[0] == "refused"  # its key is gone


def test_keys_come_over_tls_and_a_file_is_read_again(issuer, tmp_path, millrace_broker_program):
    ca = Ca(tmp_path / "pki", "issuer")
    secure = Issuer(issuer.folder, ca.keystore("issuer", "/CN=issuer"))
    keys = tmp_path / "keys.json"
    keys.write_bytes((issuer.folder / "rotated.json").read_bytes())
    ports = free_ports(4)
    web, file = ("listener.name.web.oauthbearer.", "listener.name.file.oauthbearer.")
    broker = our_broker_with(tmp_path / "broker", ports, settings(ports, issuer, **{
        web + "sasl.oauthbearer.jwks.endpoint.url": secure.url,
        web + "sasl.jaas.config": f'{MODULE} ssl.truststore.type="PEM" ssl.truststore.location="{ca.certificate}";',
        file + "sasl.oauthbearer.jwks.endpoint.url": keys.as_uri()}))
    side = Side(broker, ports)

    def accepted(port):
        with Steps(port) as steps:
            steps.handshake("OAUTHBEARER")
            return steps.bearer(issuer.token("es256"))[0] == 0
    with broker:
        wait_until(lambda: accepted(side.web), 10, "the keys over TLS")
        assert not accepted(side.file)
        keys.write_bytes((issuer.folder / "jwks.json").read_bytes())
        wait_until(lambda: accepted(side.file), 10, "the changed file")
    secure.close()


def test_a_broker_starts_without_its_issuer_and_refuses_tokens_meanwhile(issuer, tmp_path, millrace_broker_program):
    ports = free_ports(4)
    nobody = free_ports(1)[0]
    broker = our_broker_with(tmp_path, ports, settings(ports, issuer, **{
        "listener.name.web.oauthbearer.sasl.oauthbearer.jwks.endpoint.url": f"http://127.0.0.1:{nobody}/certs"}))
    with broker:
        broker.process.wait_line("the keys of the token issuer cannot be had", 5)
        with Steps(ports[2]) as steps:
            steps.handshake("OAUTHBEARER")
            assert steps.bearer(issuer.token("es256"))[0] == "refused"
            assert steps.receive() is None


def test_what_cannot_work_is_refused_at_the_start(issuer, tmp_path, millrace_broker_program):
    for key, value, why in (("jwks.endpoint.url", "", "must be set so that the signatures of tokens can be verified"),
                            ("jwks.endpoint.url", "ftp://x/y", "has no usable protocol"),
                            ("jwks.endpoint.refresh.ms", "0", "must be positive")):
        ports = free_ports(4)
        broker = our_broker_with(tmp_path / f"{key}{len(value)}", ports,
                                 settings(ports, issuer, **{f"listener.name.web.oauthbearer.sasl.oauthbearer.{key}": value}))
        with pytest.raises(subprocess.CalledProcessError) as refused:
            broker.launch()
        assert why in refused.value.stderr.decode()
