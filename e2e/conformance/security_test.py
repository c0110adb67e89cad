"""TLS, SASL, certificates' names as principals, and ACLs over `millrace-broker run`."""

import json

import pytest

from e2e.conformance.support.certificates import Ca, serial_of, served_serial
from e2e.lib.broker import Broker
from e2e.lib.kcat import consume, kcat, produce
from e2e.lib.process import free_ports, wait_until

PLAIN_LOGIN = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_paul="paul-secret";'


class SecuredBroker(Broker):
    """Listeners: PLAINTEXT for nobody (authorizer on), SSL with client certificates, SASL_SSL with all mechanisms."""

    def __init__(self, folder):
        self.ca = Ca(folder / "pki", "cluster")
        self.keystore = self.ca.keystore("broker", "/CN=broker")
        self.plain_port, self.ssl_port, self.sasl_port, controller = free_ports(4)
        tls = {"ssl.keystore.type": "PEM", "ssl.keystore.location": self.keystore,
               "ssl.truststore.type": "PEM", "ssl.truststore.location": self.ca.certificate}
        super().__init__(folder, {
            "process.roles": "broker,controller",
            "node.id": 1,
            "log.dirs": folder / "data",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.plain_port},SSL://127.0.0.1:{self.ssl_port},"
                         f"SASL_SSL://127.0.0.1:{self.sasl_port},CONTROLLER://127.0.0.1:{controller}",
            "inter.broker.listener.name": "PLAINTEXT",
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 2,
            "group.initial.rebalance.delay.ms": 0,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:admin",
            **tls,
            "listener.name.ssl.ssl.client.auth": "required",
            "listener.name.ssl.ssl.principal.mapping.rules": r"RULE:^CN=(.*?),OU=people.*$/$1/L,DEFAULT",
            "listener.name.sasl_ssl.sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512,PLAIN",
            "listener.name.sasl_ssl.plain.sasl.jaas.config": PLAIN_LOGIN,
        })
        self.admin_keystore = self.ca.keystore("admin", "/OU=people/CN=Admin")

    def ssl(self, keystore=None, ca=None):
        """librdkafka settings for the SSL listener."""
        own = {"ssl.certificate.location": keystore, "ssl.key.location": keystore} if keystore else {}
        return {"security.protocol": "ssl", "ssl.ca.location": ca or self.ca.certificate, **own}

    def sasl(self, mechanism, user, password, ca=None):
        return {"security.protocol": "sasl_ssl", "ssl.ca.location": ca or self.ca.certificate, "sasl.mechanism": mechanism,
                "sasl.username": user, "sasl.password": password}

    @property
    def ssl_address(self):
        return f"127.0.0.1:{self.ssl_port}"

    @property
    def sasl_address(self):
        return f"127.0.0.1:{self.sasl_port}"

    def logged(self, *words):
        """Waits for a log line (JSON) with all words, and returns it decoded."""
        def find():
            return next((line for line in self.process.lines if all(word in line for word in words)), None)
        return json.loads(wait_until(find, 5.0, f"a log line with {words}\n{self.process.tail()}"))


@pytest.fixture(scope="module")
def secured(millrace_broker_program, tmp_path_factory, tools):
    folder = tmp_path_factory.mktemp("secured")
    with SecuredBroker(folder) as broker:
        client = folder / "admin.properties"
        client.write_text(f"security.protocol=SSL\nssl.keystore.type=PEM\nssl.keystore.location={broker.admin_keystore}\n"
                          f"ssl.truststore.type=PEM\nssl.truststore.location={broker.ca.certificate}\n")

        def admin(tool, *arguments):
            outcome = tools.run(tool, "--bootstrap-server", broker.ssl_address, "--command-config", client, *arguments)
            assert outcome.code == 0, f"{tool} {arguments}\n{outcome}"
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            admin("kafka-configs", "--entity-type", "users", "--entity-name", "sam", "--alter", "--add-config",
                  f"{mechanism}=[password=sam-secret]")
        admin("kafka-topics", "--create", "--topic", "open")
        admin("kafka-topics", "--create", "--topic", "closed")
        for user in ("sam", "paul", "CN=app,OU=machines"):
            admin("kafka-acls", "--add", "--allow-principal", f"User:{user}", "--operation", "Read", "--operation", "Write",
                  "--topic", "open")
        yield broker


@pytest.mark.parametrize("mechanism, user", [("SCRAM-SHA-256", "sam"), ("SCRAM-SHA-512", "sam"), ("PLAIN", "paul")])
def test_users_log_in_over_tls_with_every_mechanism(secured, mechanism, user):
    config = secured.sasl(mechanism, user, f"{user}-secret")
    record = f"from {user} by {mechanism}".encode()
    produce(secured.sasl_address, "open", [record], config)
    assert record in consume(secured.sasl_address, "open", config)


def test_a_client_certificates_name_is_the_principal(secured):
    keystore = secured.ca.keystore("app", "/OU=machines/CN=app")
    produce(secured.ssl_address, "open", [b"from a certificate"], secured.ssl(keystore))
    other = secured.ca.keystore("other", "/OU=machines/CN=other")
    refused = kcat("-b", secured.ssl_address, "-P", "-t", "open", "-X", "topic.metadata.propagation.max.ms=1",
                   *words(secured.ssl(other)), stdin="x\n", check=False)
    assert refused[0] != 0 and "authorization failed" in refused[2].lower()
    secured.logged('"denied"', "User:CN=other,OU=machines")


def words(config):
    return [word for key, value in config.items() for word in ("-X", f"{key}={value}")]


def refused(address, config):
    """kcat's error output; it must not have got the metadata."""
    code, out, err = kcat("-b", address, "-L", "-m", 1, *words(config), check=False)
    assert code != 0, out.decode()
    return err


def test_a_wrong_password_is_refused_and_logged(secured):
    for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"):
        refused(secured.sasl_address, secured.sasl(mechanism, "sam", "guessed"))
        line = secured.logged("authentication failed", mechanism, '"sam"')
        assert line["level"] in ("warn", "WARN") and line["peer"].startswith("127.0.0.1:") and line["reason"]


def test_an_unknown_user_looks_like_a_wrong_password(secured):
    error = refused(secured.sasl_address, secured.sasl("SCRAM-SHA-256", "nobody", "x"))
    known = refused(secured.sasl_address, secured.sasl("SCRAM-SHA-256", "sam", "x"))
    assert [w for w in error.split() if "uthentication" in w] == [w for w in known.split() if "uthentication" in w]
    secured.logged("authentication failed", '"nobody"')


def test_a_certificate_of_another_ca_is_refused_and_logged(secured, tmp_path):
    stranger = Ca(tmp_path, "stranger").keystore("app", "/OU=people/CN=admin")
    refused(secured.ssl_address, secured.ssl(stranger))
    line = secured.logged("handshake failed", "unknown CA")
    assert line["listener"] == "SSL" and line["peer"].startswith("127.0.0.1:")


def test_a_missing_client_certificate_is_refused_and_logged(secured):
    refused(secured.ssl_address, secured.ssl())
    secured.logged("handshake failed", "no client certificate")


def test_a_client_that_does_not_trust_our_ca_is_logged(secured, tmp_path):
    refused(secured.sasl_address, secured.sasl("PLAIN", "paul", "paul-secret", ca=Ca(tmp_path, "other").certificate))
    secured.logged("handshake failed", "SASL_SSL", "does not trust our")


def test_plaintext_on_the_tls_port_is_refused_and_logged(secured):
    refused(secured.sasl_address, {"security.protocol": "plaintext"})
    line = secured.logged("handshake failed", "SASL_SSL", "plaintext on a TLS port")
    assert line["peer"].startswith("127.0.0.1:")


def test_tls_on_the_plaintext_port_is_refused_and_logged(secured):
    refused(f"127.0.0.1:{secured.plain_port}", secured.ssl())
    secured.logged("connection closed", '"PLAINTEXT"', "TLS handshake on a listener without TLS")


def test_without_an_acl_a_topic_is_refused_with_one_audit_line(secured):
    config = secured.sasl("SCRAM-SHA-256", "sam", "sam-secret")
    code, _, err = kcat("-b", secured.sasl_address, "-P", "-t", "closed", "-X", "topic.metadata.propagation.max.ms=1",
                        *words(config), stdin="x\n", check=False)
    assert code != 0 and "Topic authorization failed" in err
    line = secured.logged('"denied"', "User:sam", "closed")
    assert line["resource"].lower() == "topic:closed" and line["host"] == "127.0.0.1"


def test_certificates_replaced_on_disk_are_served_without_a_restart(secured):
    before = served_serial(secured.sasl_port, secured.ca.certificate)
    assert before == serial_of(secured.keystore)
    secured.ca.keystore("broker-2", "/CN=broker", file=secured.keystore)
    after = serial_of(secured.keystore)
    assert after != before
    wait_until(lambda: served_serial(secured.sasl_port, secured.ca.certificate) == after, 20, "the new certificate", every=0.3)
    produce(secured.sasl_address, "open", [b"after the change"], secured.sasl("PLAIN", "paul", "paul-secret"))
    secured.logged("certificates reloaded")
    good = secured.keystore.read_bytes()
    secured.keystore.write_text("not a key")
    secured.logged("certificates were not reloaded")
    assert served_serial(secured.sasl_port, secured.ca.certificate) == after
    secured.keystore.write_bytes(good)
