"""Apache Kafka and our broker with the same SASL listeners, for what can be compared about logins."""

from dataclasses import dataclass, field

from e2e.lib.broker import Broker
from e2e.lib.kafka import ApacheKafka
from e2e.lib.process import free_ports

USERS = {"alice": "alice-secret", "bob": "bob-secret"}
SESSION_MS = 2000  # of the listener SHORT
TOKENS = {"delegation.token.secret.key": "between-us"}
MODULES = "org.apache.kafka.common.security"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def login(mechanism, user, password, extra=""):
    """A client's sasl.jaas.config."""
    module = f"{MODULES}.plain.PlainLoginModule" if mechanism == "PLAIN" else f"{MODULES}.scram.ScramLoginModule"
    return f'{module} required username="{user}" password="{password}"{extra};'


def client(mechanism, user, password, extra=""):
    """A client's settings."""
    return {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": mechanism,
            "sasl.jaas.config": login(mechanism, user, password, extra)}


@dataclass
class Ports:
    """Listeners: PLAINTEXT, where everybody is a super user; SASL; and SHORT, whose sessions last for two seconds."""
    plain: int
    sasl: int
    short: int
    controller: int
    properties: dict = field(default_factory=dict)

    @classmethod
    def free(cls):
        return cls(*free_ports(4))

    def settings(self):
        names = {"PLAINTEXT": self.plain, "SASL": self.sasl, "SHORT": self.short, "CONTROLLER": self.controller}
        users = " ".join(f'user_{user}="{password}"' for user, password in USERS.items())
        settings = {
            "listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in names.items()),
            "advertised.listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in names.items()),
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT,SHORT:SASL_PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{self.controller}",
            "sasl.enabled.mechanisms": ",".join(MECHANISMS),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "listener.name.short.connections.max.reauth.ms": 600000,
        }
        for listener in ("sasl", "short"):
            for mechanism in MECHANISMS:
                own = f"listener.name.{listener}.{mechanism.lower()}."
                module = login(mechanism, "broker", "unused", f" {users}" if mechanism == "PLAIN" else "")
                settings[own + "sasl.jaas.config"] = module
                if listener == "short":  # a mechanism's own value goes before its listener's
                    settings[own + "connections.max.reauth.ms"] = SESSION_MS
        return settings | self.properties


class Login:
    """One of the two, running."""

    def __init__(self, server, ports):
        self.server, self.ports = server, ports
        self.bootstrap = f"127.0.0.1:{ports.plain}"
        self.sasl = f"127.0.0.1:{ports.sasl}"
        self.short = f"127.0.0.1:{ports.short}"


def apache(folder, properties):
    ports = Ports.free()
    ports.properties = properties
    return Login(ApacheKafka(folder, ports.settings()), ports)


def ours(folder, properties):
    ports = Ports.free()
    ports.properties = properties
    return Login(Broker(folder, {
        "process.roles": "broker,controller", "node.id": 0, "log.dirs": folder / "data", "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4, "group.initial.rebalance.delay.ms": 0, **ports.settings()}), ports)


