"""The brokers that the programs talk to: ours and Apache's with the same settings. Secured's listeners: one without security for
suites that bring their own programs, one with SCRAM-SHA-512, one with that and TLS."""

import os
import subprocess

from e2e.conformance.support.certificates import Ca
from e2e.lib.broker import Broker
from e2e.lib.cluster import Cluster
from e2e.lib.kafka import ApacheKafka
from e2e.lib.network import Loopback
from e2e.lib.process import free_ports

USERS = {"admin": "admin-secret", "limited": "limited-secret"}
SCRAM_LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


def settings(folder, plain_port, login_port, secure_port, controller_port):
    ca = Ca(folder / "pki", "cluster")
    listeners = (f"PLAINTEXT://127.0.0.1:{plain_port},SASL_PLAINTEXT://127.0.0.1:{login_port},"
                 f"SASL_SSL://127.0.0.1:{secure_port},CONTROLLER://127.0.0.1:{controller_port}")
    return ca.certificate, {
        "process.roles": "broker,controller",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,"
                                          "SASL_PLAINTEXT:SASL_PLAINTEXT",
        "listeners": listeners,
        "advertised.listeners": listeners,
        "inter.broker.listener.name": "PLAINTEXT",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": SCRAM_LOGIN,
        "listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config": SCRAM_LOGIN,
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": ca.keystore("broker", "/CN=broker"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": ca.certificate,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:admin;User:ANONYMOUS",
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "group.initial.rebalance.delay.ms": 0,
        "group.consumer.min.heartbeat.interval.ms": 100,
        "group.consumer.heartbeat.interval.ms": 200,
    }


class Secured:
    """A broker of either kind with users; `environment(prefix)` tells a program where it is."""

    def __init__(self, folder, kind):
        plain_port, login_port, secure_port, controller_port = free_ports(4)
        self.ca, properties = settings(folder, plain_port, login_port, secure_port, controller_port)
        self.plain, self.login, self.secure = (f"127.0.0.1:{port}" for port in (plain_port, login_port, secure_port))
        if kind == "millrace":
            self.broker = Broker(folder, {"node.id": 1, "log.dirs": folder / "data"} | properties)
        else:
            self.broker = ApacheKafka(folder, properties)

    def start(self, python, add_users):
        self.broker.start()
        done = subprocess.run([python, add_users, self.plain], input="\n".join(f"{u} {p}" for u, p in USERS.items()),
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return self

    def environment(self, prefix):
        return dict(os.environ, CLIENT_BOOTSTRAP=self.secure, CLIENT_CA=str(self.ca), CLIENT_PREFIX=prefix)

    def client_properties(self):
        """For Java's clients."""
        return {"bootstrap.servers": self.secure, "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512",
                "sasl.jaas.config": f'{SCRAM_LOGIN[:-1]} username="admin" password="{USERS["admin"]}";',
                "ssl.truststore.type": "PEM", "ssl.truststore.location": self.ca}

    def stop(self):
        self.broker.kill()


def three_brokers(folder, kind, properties=None, authorizer=False):
    """A cluster of either kind, each in a rack of its own, not started. Clients need no login. With `authorizer` there are ACLs,
    which forbid nothing yet, and the brokers know each other by certificates: they are super users, clients are not."""
    hosts = Loopback(["n1", "n2", "n3", "clients"])
    common = {"transaction.state.log.num.partitions": 3, "group.initial.rebalance.delay.ms": 0, **(properties or {})}
    if authorizer:
        ca = Ca(folder / "pki", "nodes")
        addresses = ",".join(f"IP:{host.address}" for host in hosts.hosts.values())
        common |= {
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,INTERNAL:SSL,CONTROLLER:SSL",
            "ssl.keystore.type": "PEM", "ssl.keystore.location": ca.keystore("node", "/CN=node", addresses),
            "ssl.truststore.type": "PEM", "ssl.truststore.location": ca.certificate, "ssl.client.auth": "required",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:CN=node", "allow.everyone.if.no.acl.found": "true",
        }
    numbers = (1, 2, 3)
    racks = {n: {"broker.rack": f"RACK{n}"} for n in numbers}
    return Cluster(folder, {n: kind for n in numbers}, hosts, {kind: common, **racks}, heap="512m")
