"""What an API server can do to an operator: it arrives, without a crash, without a storm of requests, and says what hinders it."""

import time

import pytest

from e2e.conftest import FULL
from e2e.control_plane import faults
from e2e.control_plane.killed_test import what_matters
from e2e.lib.process import wait_until

KINDS_WATCHED = 15
REQUESTS_PER_SECOND = 40  # at the very most, and only while something is wrong
AWAY_SECONDS = 600 if FULL else 20
WHILE_SECONDS = 5.0  # how long a fault lasts that lasts
REF = {"clusterRef": {"name": "small"}}


@pytest.fixture(scope="module")
def made(worlds):
    with worlds() as world:
        world.make()
        yield world


@pytest.fixture
def calm(made):
    """The world at rest, without faults before and afterwards; whatever happened, the process is the same and writes no more."""
    made.operator.door.faults = []
    made.wait_quiet()
    yield made
    made.operator.door.faults = []
    since = made.wait_quiet()
    time.sleep(1.5)
    assert [w.what for w in made.operator.door.writes(since)] == []
    assert (made.operator.lives, made.operator.crashes, made.kubelet.problems, made.drawn_twice()) == (1, [], [], [])


def add(world, name):
    """A Topic, a User and an ACL, as a user applies them, past the faults."""
    world.apply("Topic", name, {**REF, "partitions": 2, "replicationFactor": 1, "onDelete": "Delete"})
    world.apply("User", name, {**REF, "authentication": {"type": "ScramSha512"}})
    world.apply("ACL", name, {**REF, "userRef": {"name": name}, "roles": [{"type": "Producer", "topics": [{"name": name}]}]})
    return [(kind, name) for kind in ("Topic", "User", "ACL")]


def arrives(world, took, name, fault, lasting=None, bound=REQUESTS_PER_SECOND):
    """Resources applied under the fault become Ready; if it is `lasting`, only after it ended. The busiest second is bounded."""
    began, lines = time.monotonic(), len(world.operator.log_lines())
    world.operator.door.faults = [fault]
    resources = add(world, name)
    if lasting:
        time.sleep(lasting)
        world.operator.door.faults = []
    world.wait_ready(*resources)
    took(f"{name}: Ready after", time.monotonic() - began)
    busiest = world.operator.door.requests_per_second(began)
    took(f"{name}: requests in the busiest second", busiest)
    assert busiest <= bound
    return world.operator.log_lines()[lines:]


def test_away(calm, took):
    operator = calm.operator
    lines = len(operator.log_lines())
    operator.door.go_away()
    resources = add(calm, "away")
    time.sleep(AWAY_SECONDS)
    said = operator.log_lines()[lines:]
    assert any("list or watch failed" in line for line in said)
    assert len(said) < 5 * AWAY_SECONDS
    operator.door.come_back()
    began = time.monotonic()
    calm.wait_ready(*resources, seconds=45)  # watches are asked for again at most half a minute later
    took("back until Ready", time.monotonic() - began)
    assert operator.door.requests_per_second(began) <= 80  # everything is asked for once


def test_slow(calm, took):
    arrives(calm, took, "slow", faults.slow(1.0))


@pytest.mark.parametrize("code,reason", [pytest.param(409, "Conflict", marks=pytest.mark.full),
                                         pytest.param(500, "InternalError", marks=pytest.mark.full), (503, "ServiceUnavailable")])
def test_refused_for_a_while(calm, took, code, reason):
    refusal = faults.only(lambda r: r.is_write, faults.refuse(code, reason, "not now, says the test"))
    said = arrives(calm, took, f"code-{code}", refusal, lasting=WHILE_SECONDS)
    assert any("not now, says the test" in line for line in said)


def test_told_to_come_back_later(calm, took):
    began = time.monotonic()
    refusal = faults.only(lambda r: r.is_write, faults.refuse(429, "TooManyRequests", "too many requests", retry_after=2))
    said = arrives(calm, took, "later", refusal, lasting=WHILE_SECONDS)
    assert any("too many requests" in line for line in said)
    refused = [w for w in calm.operator.door.writes(began) if w.status == 0]
    took("later: requests in five seconds of Retry-After: 2", len(refused))
    assert len(refused) <= 12  # what was under way together, and again every two seconds


def test_watches_cut_every_two_seconds(calm, took):
    calm.operator.door.faults = [faults.cut_watches(2.0)]
    calm.operator.door.go_away()
    calm.operator.door.come_back()  # so that the watches of before are cut too
    began = time.monotonic()
    time.sleep(4.0)
    arrives(calm, took, "cut", faults.cut_watches(2.0))
    watches = sum(1 for r in calm.operator.door.seen if r.is_watch and r.at > began)
    took("cut: watches per second", watches / (time.monotonic() - began))
    assert watches <= KINDS_WATCHED * (2 + (time.monotonic() - began))


def test_watches_from_a_version_that_is_gone(calm, took):
    calm.operator.door.faults = [faults.gone]
    calm.operator.door.go_away()
    calm.operator.door.come_back()
    arrives(calm, took, "gone", faults.gone, bound=6 * KINDS_WATCHED)


@pytest.mark.full  # a list is doubted for a minute
def test_a_list_of_before(calm, took):
    """Another API server, whose cache is behind: what it does not know is not gone, and what it knows is not how it is."""
    stale = faults.Stale()
    calm.operator.door.faults = [stale, faults.gone]
    calm.operator.door.go_away()
    calm.operator.door.come_back()
    wait_until(lambda: len(stale.kept) >= KINDS_WATCHED - 1, 45, "a list of every kind")
    resources = add(calm, "stale")
    calm.wait_ready(*resources)
    before, mattered = calm.wait_quiet(), what_matters(calm)
    stale.replaying = True
    wait_until(lambda: stale.replayed >= KINDS_WATCHED, 90, "old lists")
    assert [w.what for w in calm.operator.door.writes(before)] == []
    assert calm.operator.says("older than")
    calm.operator.door.faults = []
    calm.apply("Topic", "stale", {**REF, "partitions": 3, "replicationFactor": 1, "onDelete": "Delete"})
    calm.wait_ready(*resources)
    assert what_matters(calm) == mattered


def test_answers_lost_after_the_write_was_done(calm, took):
    mattered = what_matters(calm)
    writes = faults.only(lambda r: r.is_write, faults.first(12, faults.lose_answer))
    arrives(calm, took, "lost", writes)
    made = {what: count for what, count in what_matters(calm).items() if what not in mattered}
    assert made == {"secrets lost made": 1}


@pytest.mark.parametrize("resource", [pytest.param("statefulsets", marks=pytest.mark.full), "secrets", "topics",
                                      pytest.param("topics/status", marks=pytest.mark.full)])
def test_a_webhook_in_the_way(calm, took, resource):
    name = f"hook-{resource.replace('/', '-')}"
    message = 'admission webhook "guard.example.com" denied the request: says the test'
    kind, _, sub = resource.partition("/")
    refusal = faults.only(lambda r: r.is_write and r.resource == kind and (r.subresource == sub),
                          faults.refuse(403, "Forbidden", message))
    began = time.monotonic()
    calm.operator.door.faults = [refusal]
    resources = add(calm, name)
    if resource == "statefulsets":
        calm.apply_cluster(pools=[{"name": "main", "roles": ["Controller", "Broker"], "replicas": 1, "storage": {"volumes": [
            {"name": "data", "size": "1Gi"}]}, "template": {"labels": {"example.com/hook": "1"}}}])

    def told():
        places = [calm.condition(*resource)[2] for resource in (("Cluster", "small"), *resources)]
        return any("guard.example.com" in text for text in places) or calm.operator.says("guard.example.com", name.split("-", 1)[0])
    wait_until(told, 15, "somebody to tell of the webhook")
    time.sleep(2.0)
    shown = next((f"{r[0]} {calm.condition(*r)[1]}: {calm.condition(*r)[2]}" for r in (("Cluster", "small"), *resources)
                  if "guard.example.com" in calm.condition(*r)[2]), "in the log only")
    took(f"webhook on {resource}", shown)
    assert calm.operator.door.requests_per_second(began) <= REQUESTS_PER_SECOND
    calm.operator.door.faults = []
    calm.wait_ready(("Cluster", "small"), *resources)
