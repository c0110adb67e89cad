"""Certificates that live for half a minute, both CAs replaced under load, everything expired while the operator was away, certificates that
users gave: clients that reconnect every second notice nothing, and no broker is restarted."""

import collections
import json
import os
import shutil
import signal
import socket
import ssl
import struct
import threading
import time

import pytest

from e2e.conformance.support.certificates import Ca
from e2e.conftest import FULL
from e2e.lib.process import free_ports, wait_until
from e2e.standalone.replicated_test import SECONDS, TOPIC, make
from e2e.standalone.standalone import resource

CLUSTER = "10-cluster.yaml"
LIFE = 30  # of a leaf, and so long is the CA before trusted on
API_VERSIONS = struct.pack(">ihhih2s", 12, 18, 0, 1, 2, b"me")


def cluster(tls, mtls, replicas, annotations=None, **certificates):
    """The authority over each name is the same in all of them; `certificates` is spec.certificates."""
    document = resource(
        "Cluster", "orders",
        pools=[{"name": "main", "replicas": replicas, "storage": {"volumes": [{"name": "data", "size": "1Gi"}]}}],
        listeners=[{"name": "tls", "port": tls, "tls": {}, "authentication": [{"type": "ScramSha512"}]},
                   {"name": "mtls", "port": mtls, "tls": {}, "authentication": [{"type": "Mtls"}]}],
        authorization={"type": "Simple"}, certificates=certificates)
    document["metadata"]["annotations"] = annotations or {}
    return document


def user(name, kind):
    return resource("User", name, clusterRef={"name": "orders"}, authentication={"type": kind})


class Secured:
    """Nodes with a listener for passwords and one for certificates."""

    def __init__(self, programs, replicas, **certificates):
        self.tls, self.mtls = free_ports(2)
        self.replicas, self.certificates = replicas, certificates
        self.nodes = make(programs, cluster(self.tls, self.mtls, replicas, **certificates), with_topic=replicas >= 3)
        self.nodes.apply("50-mtls.yaml", user("shipping", "Mtls"))

    def annotate(self, **annotations):
        self.nodes.apply(CLUSTER, cluster(self.tls, self.mtls, self.replicas,
                                          {f"millrace.io/{k.replace('_', '-')}": v for k, v in annotations.items()}, **self.certificates))

    def ports(self, port):
        """Of each broker, for the listener that is at `port` of the first."""
        moved = json.loads((self.nodes.data / "ports.json").read_text())
        return [moved.get(f"kafka/orders-main-{i}:{port}", port) for i in range(self.replicas)]

    def ca(self, which):
        return self.nodes.status(CLUSTER).get("certificates", {}).get(which, {})

    def folder(self, name):
        return self.nodes.data / "secrets" / "kafka" / name

    def trusted(self):
        return (self.folder("shipping") / "ca.crt").read_text()


def certificates_of(bundle):
    end = "-----END CERTIFICATE-----\n"
    return [piece + end for piece in bundle.split(end) if "BEGIN" in piece]


def context(trusted, identity=None):
    made = ssl.create_default_context(cadata=trusted)
    if identity:
        made.load_cert_chain(identity / "tls.crt", identity / "tls.key")
    return made


def talk(port, made):
    """A handshake, and an answer: TLS 1.3 lets a client finish before the broker has judged its certificate."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain, made.wrap_socket(plain, server_hostname="localhost") as stream:
        stream.sendall(API_VERSIONS)
        if not stream.recv(4):
            raise ssl.SSLError("closed instead of an answer")
        return stream.getpeercert()


class Reconnecting:
    """Clients that connect to every broker once a second. A kind is a port and a way to make its TLS context, which may be None: then it
    has nothing to connect with."""

    def __init__(self, secured, **kinds):
        self.secured, self.kinds = secured, kinds
        self.done, self.tried, self.failed, self.served = threading.Event(), collections.Counter(), [], set()
        self.threads = [threading.Thread(target=self.run, args=(name, *kind), daemon=True) for name, kind in kinds.items()]

    def run(self, name, port, make_context):
        while not self.done.wait(1):
            for each in self.secured.ports(port):
                try:
                    made = make_context()
                except ssl.SSLError:  # key and certificate of two generations: the files are being replaced
                    continue
                if made is None:
                    continue
                self.tried[name] += 1
                try:
                    self.served.add(talk(each, made)["serialNumber"])
                except OSError as problem:
                    self.failed.append((name, each, str(problem)))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        for thread in self.threads:
            thread.join(SECONDS)


@pytest.fixture(scope="module")
def away(programs):
    """An operator that is frozen as soon as all is well, and whose certificates end meanwhile: the CAs' too."""
    secured = Secured(programs, 1, leafValidity=f"{LIFE}s", clusterCa={"validity": f"{LIFE + 5}s"}, usersCa={"validity": f"{LIFE + 5}s"})
    with secured.nodes as nodes:
        for name in (CLUSTER, "50-mtls.yaml"):
            nodes.wait_ready(name, SECONDS)
        secured.pids = nodes.pids()
        os.kill(nodes.process.pid, signal.SIGSTOP)
        secured.since = time.monotonic()
        yield secured
        os.kill(nodes.process.pid, signal.SIGCONT)
    shutil.rmtree(nodes.folder)


@pytest.fixture(scope="module")
def three(programs):
    secured = Secured(programs, 3, leafValidity=f"{LIFE}s")
    with secured.nodes as nodes:
        for name in (CLUSTER, "20-topic.yaml", "30-user.yaml", "40-acl.yaml", "50-mtls.yaml"):
            nodes.wait_ready(name, SECONDS)
        yield secured
    shutil.rmtree(nodes.folder)


def test_both_cas_are_replaced_while_clients_reconnect_every_second(away, three, record_property):
    nodes = three.nodes
    pids = nodes.pids()
    first = three.trusted()
    assert len(certificates_of(first)) == 1
    old_until, new_begins = [float("inf")], threading.Event()
    second = []
    produced = []

    def produce():
        record = b"%d" % len(produced)
        nodes.produce(TOPIC, [record])
        produced.append(record)

    clients = Reconnecting(
        three,
        old=(three.tls, lambda: context(first) if time.monotonic() < old_until[0] else None),
        both=(three.tls, lambda: context(three.trusted())),
        new=(three.tls, lambda: context(second[0]) if new_begins.is_set() else None),
        certificate=(three.mtls, lambda: context(three.trusted(), three.folder("shipping"))))
    with clients:
        deadline = time.monotonic() + (180 if FULL else 5)  # of renewals alone
        while time.monotonic() < deadline:
            produce()
            time.sleep(1)
        three.annotate(renew_cluster_ca="1", renew_users_ca="1")
        wait_until(lambda: len(certificates_of(three.trusted())) == 2, 20, "the next CA in the users' Secrets")
        second.append(next(c for c in certificates_of(three.trusted()) if c != first))
        wait_until(lambda: three.ca("clusterCa").get("phase") == "Overlap", 30, f"every broker has its new certificate: {three.ca('clusterCa')}")
        new_begins.set()
        old_until[0] = time.monotonic() + LIFE - 8  # the one before is trusted so long, less what a busy machine is late
        while any(three.ca(ca).get("phase") != "Stable" for ca in ("clusterCa", "usersCa")):
            assert time.monotonic() < old_until[0] + 60, three.nodes.status(CLUSTER)
            produce()
            time.sleep(1)
        time.sleep(3)
        produce()
    assert clients.failed == []
    assert set(clients.tried) == {"old", "both", "new", "certificate"}, clients.tried
    assert three.trusted() == second[0]
    assert [three.ca(ca)["generation"] for ca in ("clusterCa", "usersCa")] == [2, 2]
    for port in three.ports(three.tls):
        with pytest.raises(ssl.SSLError, match="verify failed"):
            talk(port, context(first))
    assert len(clients.served) >= 3 * 3, "every broker was seen with three certificates at least"
    assert sorted(nodes.consume(TOPIC), key=int) == produced
    assert nodes.pids() == pids, "nobody was restarted"
    record_property("handshakes", dict(clients.tried))


def test_what_ended_while_the_operator_was_away_is_made_anew(away):
    nodes = away.nodes
    time.sleep(max(0, LIFE + 6 - (time.monotonic() - away.since)))
    before = away.trusted()
    with pytest.raises(ssl.SSLError, match="expired"):
        talk(away.tls, context(before))
    os.kill(nodes.process.pid, signal.SIGCONT)

    def heals():
        try:
            return away.trusted() != before and talk(away.tls, context(away.trusted()))
        except OSError:
            return False
    wait_until(heals, 30, "a certificate of another CA")
    talk(away.mtls, context(away.trusted(), away.folder("shipping")))
    wait_until(lambda: nodes.ready(CLUSTER)[0] == "True", 30, "Ready")
    assert nodes.pids() == away.pids, "nobody was restarted"


@pytest.fixture(scope="module")
def given(programs):
    """One node with a listener for which the user gives the certificate."""
    secured = Secured(programs, 1)
    secured.times = 0
    with secured.nodes as nodes:
        for name in (CLUSTER, "50-mtls.yaml"):
            nodes.wait_ready(name, SECONDS)
        yield secured
    shutil.rmtree(nodes.folder)


def give(given, data, reference=True, **certificates):
    """The Secret, and a Cluster that names it; the Cluster differs each time, so that it is looked at now and not within 30 s. Files are read
    in the order of their names."""
    given.nodes.apply("05-given.yaml", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "given", "namespace": "kafka"},
                                         "type": "kubernetes.io/tls", "stringData": data})
    given.times += 1
    document = cluster(given.tls, given.mtls, 1, {"looked-at": str(given.times)}, **certificates)
    if reference:
        document["spec"]["listeners"][0]["tls"] = {"certificateSecretRef": {"name": "given"}}
    given.nodes.apply(CLUSTER, document)


def listener_secret(ca, name, **options):
    """What cert-manager writes."""
    ca.keystore(name, f"/CN={name}", **options)
    return {"tls.crt": (ca.folder / f"{name}.crt").read_text(), "tls.key": (ca.folder / f"{name}.key").read_text(),
            "ca.crt": ca.certificate.read_text()}


def served_by(port, trusted):
    """The common name of what is served to a client that trusts `trusted`; None if that does not fit."""
    try:
        return dict(pair[0] for pair in talk(port, context(trusted))["subject"])["commonName"]
    except OSError:
        return None


def wait_degraded(given, text):
    wait_until(lambda: text in given.nodes.condition("Degraded").get("message", ""), 45, f"Degraded: {text}: {given.nodes.condition('Degraded')}")


def test_a_listeners_own_certificate_is_taken_up_and_a_wrong_one_refused(given, tmp_path):
    nodes, pids = given.nodes, given.nodes.pids()
    ca, other = Ca(tmp_path, "shop"), Ca(tmp_path, "other")
    first, second = (listener_secret(ca, name) for name in ("first", "second"))
    give(given, first)
    wait_until(lambda: served_by(given.tls, first["ca.crt"]) == "first", 20, "the certificate of the Secret")
    wait_until(lambda: first["ca.crt"] in given.trusted(), 20, "its CA in the User's Secret")
    assert served_by(given.mtls, given.trusted()) is None  # wants a certificate of the client
    refused = [({**first, "tls.key": second["tls.key"]}, "its key does not belong to its certificate"),
               (listener_secret(other, "elsewhere", alt_names="DNS:kafka.example.org"), "does not name 127.0.0.1, which clients dial"),
               ({**first, "tls.crt": "nothing"}, "tls.crt is not a bundle of certificates in PEM form"),
               ({"tls.crt": first["tls.crt"]}, "it has no tls.key")]
    for data, reason in refused:
        give(given, data)
        wait_degraded(given, reason)
        assert nodes.condition("Degraded")["reason"] == "SecretInvalid"
        assert served_by(given.tls, first["ca.crt"]) == "first", "what was served before still is"
        assert nodes.ready(CLUSTER)[0] == "True"
    give(given, second)
    wait_until(lambda: served_by(given.tls, given.trusted()) == "second", 20, "the next certificate")
    wait_until(lambda: nodes.condition("Degraded")["status"] == "False", 20, "no complaint any more")
    give(given, second, reference=False)
    wait_until(lambda: served_by(given.tls, given.trusted()) == "millrace-broker", 20, "the operator's own certificate again")
    assert nodes.pids() == pids, "nobody was restarted"


def authority_secret(given, data, secret=True):
    """The Secret of the cluster's CA, or a managed one again; clients are not waited for."""
    given.nodes.apply("05-authority.yaml", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "authority", "namespace": "kafka"},
                                         "stringData": data})
    given.times += 1
    certificates = {"clusterCa": {"type": "Secret", "secretRef": {"name": "authority"}}} if secret else {}
    given.nodes.apply(CLUSTER, cluster(given.tls, given.mtls, 1, {"looked-at": str(given.times), "millrace.io/end-ca-overlap": "true"},
                                       **certificates))


def test_a_ca_of_the_users_own_is_taken_in_steps_and_a_wrong_one_refused(given, tmp_path):
    nodes, pids = given.nodes, given.nodes.pids()
    cas = [Ca(tmp_path / n, "shop") for n in ("1", "2")]  # two of the same name, as cert-manager renews them
    certificates = [ca.certificate.read_text() for ca in cas]
    keys = [(ca.folder / "shop-ca.key").read_text() for ca in cas]

    def wait_signs(certificate, what):
        wait_until(lambda: given.ca("clusterCa").get("phase") == "Stable" and given.trusted() == certificate, 40, what)
        talk(given.tls, context(certificate))
    authority_secret(given, {"tls.crt": certificates[0], "tls.key": keys[0], "ca.crt": certificates[0]})
    wait_signs(certificates[0], "the user's CA signs")
    leaf = listener_secret(cas[0], "leaf")
    for data, reason in [({"tls.crt": certificates[1], "tls.key": keys[0]}, "its key does not belong to its certificate"),
                         ({"tls.crt": leaf["tls.crt"], "tls.key": leaf["tls.key"]}, "its certificate is not one of a CA"),
                         ({"ca.crt": certificates[1]}, "it has no ca.key"),
                         ({"ca.crt": "nothing", "ca.key": keys[1]}, "ca.crt is not a bundle of certificates in PEM form")]:
        authority_secret(given, data)
        wait_degraded(given, reason)
        assert given.trusted() == certificates[0] and nodes.ready(CLUSTER)[0] == "True"
        talk(given.tls, context(certificates[0]))
    authority_secret(given, {"ca.crt": certificates[1], "ca.key": keys[1]})
    wait_signs(certificates[1], "the user's next CA signs")
    authority_secret(given, {}, secret=False)
    wait_until(lambda: given.ca("clusterCa").get("phase") == "Stable" and given.ca("clusterCa")["trusted"][0].startswith("CN=orders-cluster-ca-"),
               40, "a CA of the operator's signs again")
    talk(given.tls, context(given.trusted()))
    assert nodes.pids() == pids, "nobody was restarted"
