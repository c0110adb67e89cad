"""Delegation tokens (KIP-48): kafka-delegation-tokens and logins by token, on both brokers."""

import re

import pytest

from e2e.conformance.support import logins as login_brokers
from e2e.conformance.support.logins import client
from e2e.conformance.support.transcript import Both, Side
from e2e.lib.kafka import properties_text
from e2e.lib.process import wait_until

TOKEN = re.compile(r"^(?P<id>[\w-]{22}) +(?P<hmac>\S{80,}) ", re.M)
DATES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")


@pytest.fixture(scope="module")
def sides(logins, tools, tmp_path_factory):
    """Both brokers under the tools; alice and bob are users with SCRAM credentials."""
    found = []
    for login, name in zip(logins, ("apache", "ours")):
        folder = tmp_path_factory.mktemp(name)
        for user in login_brokers.USERS:
            outcome = tools.run("kafka-configs", "--bootstrap-server", login.bootstrap, "--entity-type", "users", "--entity-name", user,
                                "--alter", "--add-config", f"SCRAM-SHA-256=[password={user}-secret]")
            assert outcome.code == 0, outcome
        found.append(TokenSide(login, tools, folder))
    return found


class TokenSide(Side):
    """kafka-delegation-tokens as a user, at the listener SASL."""

    def __init__(self, login, tools, folder):
        own = [(address, "<address>") for address in (login.bootstrap, login.sasl, login.short)]
        super().__init__(login, tools, [*own, (str(folder), "<folder>")])
        self.folder = folder

    @property
    def bootstrap(self):
        return self.server.bootstrap

    def properties(self, name, settings):
        file = self.folder / f"{name}.properties"
        file.write_text(properties_text(settings))
        return file

    @staticmethod
    def anonymous(line):
        line = re.sub(r"\S{80,}", "<hmac>", DATES.sub("<date>", line.strip()))
        return re.sub(r" +", " ", re.sub(r"(?<![\w-])[\w-]{22}(?![\w-])", "<id>", line))

    def note(self, *lines):
        super().note(*map(self.anonymous, lines))

    def logs_in(self, settings):
        """Whether kafka-topics --list works."""
        file = self.properties("bearer", settings)
        return self.tools.run("kafka-topics", "--bootstrap-server", self.server.sasl, "--command-config", file, "--list")

    def describe(self, user, owner, count):
        """Kafka's broker learns of a token a little after it has answered."""
        def enough():
            self.transcript = before[:]
            self.tokens(user, "--describe", *(("--owner-principal", owner) if owner else ()))
            return any(line == f"Total number of tokens : {count}" for line in self.transcript[len(before):])
        before = self.transcript
        wait_until(enough, 10, f"{count} tokens", every=0.2)

    def tokens(self, user, *arguments, settings=None, fails=False, address=None):
        """Masks ids, HMACs and dates; returns (id, HMAC) of the first token that was printed."""
        file = self.properties(user, settings or client("SCRAM-SHA-256", user, f"{user}-secret"))
        outcome = self.tools.run("kafka-delegation-tokens", "--bootstrap-server", address or self.server.sasl, "--command-config", file, *arguments)
        token = TOKEN.search(outcome.out)
        text = outcome.out + "\n".join("! " + line for line in outcome.err.splitlines() if "Exception" in line)
        self.note(f"{user}: {' '.join(arguments[:1])}", *sorted(self.anonymous(line) for line in text.splitlines() if line.strip()),
                  f"exit code {outcome.code}")
        assert (outcome.code != 0) == fails, outcome
        return token.groupdict() if token else None


def test_kafkas_tool_prints_the_same_of_both(sides):
    oracle, ours = sides

    def scenario(side):
        def acl(*arguments):
            side("kafka-acls", *arguments, ordered=False)
        create = ("--create", "--max-life-time-period")
        token = side.tokens("alice", *create, "-1", "--renewer-principal", "User:bob")
        side.describe("bob", "User:alice", 1)
        side.describe("alice", "User:nobody", 0)
        side.describe("alice", None, 0)  # the tool asks for the tokens of nobody
        side.tokens("bob", "--renew", "--renew-time-period", "-1", "--hmac", token["hmac"])
        side.tokens("alice", "--renew", "--renew-time-period", "60000", "--hmac", token["hmac"])
        side.tokens("alice", "--renew", "--renew-time-period", "-1", "--hmac", "bm9uZQ==", fails=True)
        side.tokens("alice", *create, "-1", "--renewer-principal", "Group:g", fails=True)
        # For somebody else, and of somebody else.
        side.tokens("bob", *create, "-1", "--owner-principal", "User:alice", fails=True)
        acl("--add", "--allow-principal", "User:bob", "--operation", "CreateTokens", "--user-principal", "User:alice")
        hers = side.tokens("bob", *create, "3600000", "--owner-principal", "User:alice")
        side.describe("alice", "User:bob", 2)
        lone = side.tokens("alice", *create, "-1")
        side.describe("alice", "User:alice", 3)
        side.describe("bob", "User:alice", 2)
        acl("--add", "--allow-principal", "User:bob", "--operation", "Describe", "--delegation-token", lone["id"])
        side.describe("bob", "User:alice", 3)
        acl("--remove", "--force", "--delegation-token", lone["id"])
        acl("--add", "--allow-principal", "User:bob", "--operation", "DescribeTokens", "--user-principal", "User:alice")
        side.describe("bob", "User:alice", 3)
        side.tokens("bob", "--renew", "--renew-time-period", "-1", "--hmac", lone["hmac"], fails=True)
        side.tokens("bob", "--expire", "--expiry-time-period", "-1", "--hmac", lone["hmac"], fails=True)
        side.tokens("alice", "--expire", "--expiry-time-period", "60000", "--hmac", lone["hmac"])
        # Not by a token's bearer, and not by who has shown nothing.
        by_token = client("SCRAM-SHA-256", token["id"], token["hmac"], ' tokenauth="true"')
        side.tokens("alice", *create, "-1", settings=by_token, fails=True)
        side.tokens("alice", "--describe", settings=by_token, fails=True)
        side.tokens("alice", "--renew", "--renew-time-period", "-1", "--hmac", token["hmac"], settings=by_token, fails=True)
        side.tokens("alice", *create, "-1", settings={"security.protocol": "PLAINTEXT"}, address=side.bootstrap, fails=True)
        for one in (token, hers, lone):
            side.tokens("alice", "--expire", "--expiry-time-period", "-1", "--hmac", one["hmac"])
        side.tokens("alice", "--expire", "--expiry-time-period", "-1", "--hmac", token["hmac"], fails=True)
        side.describe("alice", "User:alice", 0)
        acl("--remove", "--force", "--user-principal", "User:alice")
    Both(oracle, ours)(scenario)


def test_a_tokens_bearer_is_its_owner_until_it_is_expired(sides):
    oracle, ours = sides

    def scenario(side):
        side("kafka-topics", "--create", "--topic", "by-token", "--if-not-exists")
        side("kafka-acls", "--add", "--allow-principal", "User:alice", "--operation", "Read", "--operation", "Write", "--topic", "by-token",
             ordered=False)
        token = side.tokens("alice", "--create", "--max-life-time-period", "-1", "--renewer-principal", "User:bob")
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            bearer = client(mechanism, token["id"], token["hmac"], ' tokenauth="true"')
            # Kafka's broker learns of a token a little after it has answered.
            wait_until(lambda: side.logs_in(bearer).code == 0, 10, "a login by token")
            side.note(f"{mechanism}: {side.logs_in(bearer).out.split()}")
            # Its HMAC is no password of the id without the extension, and another HMAC is none at all.
            for wrong in (client(mechanism, token["id"], token["hmac"]), client(mechanism, token["id"], "bm9uZQ==", ' tokenauth="true"')):
                side.note(f"{mechanism} wrong: {side.logs_in(wrong).out.strip()}")
        side.tokens("bob", "--expire", "--expiry-time-period", "-1", "--hmac", token["hmac"])
        bearer = client("SCRAM-SHA-256", token["id"], token["hmac"], ' tokenauth="true"')
        wait_until(lambda: side.logs_in(bearer).code != 0, 10, "no login by token")
        side.note(f"after its end: {side.logs_in(bearer).out.strip()}")
    Both(oracle, ours)(scenario)


def test_tokens_survive_a_restart_and_are_swept(sides, tmp_path):
    """Ours alone, with a sweep every 200 ms; a second broker object on the same folder."""
    ports = login_brokers.ours(tmp_path / "broker", login_brokers.TOKENS | {"delegation.token.expiry.check.interval.ms": 200})
    tools = sides[0].tools
    with ports.server as server:
        assert tools.run("kafka-configs", "--bootstrap-server", ports.bootstrap, "--entity-type", "users", "--entity-name", "alice", "--alter",
                         "--add-config", "SCRAM-SHA-256=[password=alice-secret]").code == 0
        side = TokenSide(ports, tools, tmp_path)
        kept = side.tokens("alice", "--create", "--max-life-time-period", "-1")
        side.tokens("alice", "--create", "--max-life-time-period", "300")
        server.kill()
        server.start()
        server.process.wait_line("delegation tokens expired", 10)
        side.transcript = []
        assert side.tokens("alice", "--describe", "--owner-principal", "User:alice")["id"] == kept["id"]
        assert any("Total number of tokens : 1" in line for line in side.transcript)


def test_versions_are_advertised_as_kafkas(both):
    def scenario(kafka):
        kafka("kafka-broker-api-versions", edit=lambda line: line if "DelegationToken" in line else None)
    both(scenario)
