"""What a namespace that is not the cluster's own can do: what spec.tenants gives it, and never somebody else's power."""

import pytest

from e2e.kubernetes.conftest import SUPER_USER, TENANT
from e2e.kubernetes.scene import Scene

PASSWORD = "chosen-by-the-tenant"


@pytest.fixture(scope="module")
def tenant(scene, tmp_path_factory):
    """A namespace whose objects may have any name that nobody else has."""
    with scene.kubernetes.namespace(f"{scene.namespace}-tenant", wait=False, labels=TENANT) as namespace:
        scene.kubernetes.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "chosen", "namespace": namespace},
                                "stringData": {"password": PASSWORD}})
        yield Tenant(scene.kubernetes, namespace, scene.cluster, tmp_path_factory.mktemp("tenant"), scene)


class Tenant(Scene):
    def __init__(self, kubernetes, namespace, cluster, folder, owner):
        super().__init__(kubernetes, namespace, cluster, folder)
        self.owner = owner

    def apply(self, kind, name, ready=True, **spec):
        return super().apply(kind, name, ready, **{"clusterRef": {"name": self.cluster, "namespace": self.owner.namespace}, **spec})

    def refused(self, kind, name, *words):
        message = self.wait_reason(kind, name, "NotAdmitted", 30)
        assert all(w in message for w in words), message
        self.delete(kind, name)


AS_CHOSEN = {"authentication": {"type": "ScramSha512", "passwordFrom": {"secretKeyRef": {"name": "chosen", "key": "password"}}}}


def test_a_tenant_works_within_what_it_was_given(tenant):
    tenant.apply("Topic", "billing", partitions=1, replicationFactor=1, onDelete="Delete")
    tenant.apply("User", "clerk", **AS_CHOSEN)
    tenant.apply("ACL", "clerk", userRef={"name": "clerk"}, roles=[{"type": "Producer", "topics": [{"name": "billing"}]}])
    assert tenant.why_not("clerk", "billing") == ""
    assert "authorization failed" in tenant.why_not("clerk", "orders")
    for kind, name in (("ACL", "clerk"), ("User", "clerk"), ("Topic", "billing")):
        tenant.delete(kind, name)


def test_a_user_named_like_a_super_user_gains_nothing(scene, tenant):
    """Nobody declared that super user yet: who could log in under its name would rule."""
    tenant.apply("User", "impostor", ready=False, username=SUPER_USER, **AS_CHOSEN)
    tenant.wait_reason("User", "impostor", "NotAdmitted", 30)
    assert tenant.kubernetes.get("secret", "impostor", tenant.namespace) is None
    as_chief = scene.client("writer", **{"sasl.username": SUPER_USER, "sasl.password": PASSWORD})
    assert "authentication" in scene.why_not("writer", "orders", as_chief).lower()
    tenant.refused("User", "impostor", f"User:{SUPER_USER}", "super user")


def test_a_user_of_another_namespace_keeps_its_password_and_its_name(scene, tenant):
    config = scene.client("writer")
    tenant.apply("User", "impostor", ready=False, username="writer", **AS_CHOSEN)
    tenant.wait_reason("User", "impostor", "NotAdmitted", 30)
    assert scene.why_not("writer", "orders", config) == ""
    assert "authentication" in scene.why_not("writer", "orders", config | {"sasl.password": PASSWORD}).lower()
    tenant.refused("User", "impostor", "User:writer", "exists already")
    assert scene.why_not("writer", "orders", config) == ""  # also when the impostor is deleted


@pytest.mark.parametrize(("spec", "words"), [
    ({"principal": f"User:{SUPER_USER}", "roles": [{"type": "Producer", "topics": [{"name": "billing"}]}]}, [SUPER_USER, "super user"]),
    ({"principal": "User:*", "rules": [{"resource": {"type": "Topic", "name": "billing"}, "operations": ["Read"]}]}, ["User:*"]),
    ({"principal": "User:clerk", "rules": [{"resource": {"type": "Cluster"}, "operations": ["Alter"]}]}, ["grant on"]),
], ids=["to a super user", "to everybody", "on the cluster"])
def test_rules_beyond_a_tenants_names_are_refused(tenant, spec, words):
    tenant.apply("ACL", "beyond", ready=False, **spec)
    tenant.refused("ACL", "beyond", *words)


def test_a_certificate_with_the_operators_name_is_not_the_operators(scene):
    """Users' certificates come from another CA, and what logs in with them is another principal, whatever its name."""
    name = "millrace-operator"
    scene.apply("User", name, authentication={"type": "Mtls"})
    try:
        secret = scene.secret(name)
        before = len(scene.broker_log())
        refused = scene.with_certificate(secret, 9091, "kafka-topics", "--list", check=False)
        assert refused.code != 0 and "SslAuthenticationException" in refused.out + refused.err
        scene.wait_log(before, "handshake failed")
        listed = scene.with_certificate(secret, 9094, "kafka-topics", "--list")
        assert listed.out.strip() == ""  # it may log in there, and sees nothing
        refused = scene.with_certificate(secret, 9094, "kafka-topics", "--create", "--topic", "mine", check=False)
        assert refused.code != 0 and "authorization failed" in (refused.out + refused.err).lower()
    finally:
        scene.delete("User", name)


def test_a_namespace_without_an_entry_may_nothing(scene, tenant):
    with scene.kubernetes.namespace(f"{scene.namespace}-stranger", wait=False) as namespace:
        stranger = Tenant(scene.kubernetes, namespace, scene.cluster, tenant.folder, scene)
        stranger.apply("Topic", "orders-theirs", ready=False, partitions=1, replicationFactor=1)
        stranger.refused("Topic", "orders-theirs", namespace)
