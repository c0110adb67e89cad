"""Two replicas: one acts. One that is frozen for longer than its Lease lasts acts no more when it wakes up."""

import signal
import time

import pytest

from e2e.control_plane.world import Operator
from e2e.lib.process import wait_until

LEASE_SECONDS = 4
ARGUMENTS = ("--leader-election", f"--lease-seconds={LEASE_SECONDS}")


@pytest.fixture
def pair(worlds):
    with worlds() as world:
        world.operator.close()
        operators = [Operator(world, name, arguments=ARGUMENTS) for name in ("one", "two")]
        world.operator = operators[0]
        operators[0].start()
        wait_until(lambda: operators[0].says("this replica leads"), 30, "a leader")
        operators[1].start()
        wait_until(lambda: operators[1].says("caches filled"), 30, "the other one")
        yield world, *operators
        for operator in operators:
            operator.close()


def written(operator, since=0.0):
    return [w.what for w in operator.door.writes(since)]


def test_the_one_that_was_frozen_leaves_it_to_the_other(pair, took):
    world, leader, other = pair
    world.apply_cluster()
    world.apply_rest()
    world.wait_ready(*world.ALL)
    world.wait_quiet()
    assert written(leader) and not written(other)

    # Frozen in the middle of its work: one write is under way, others would follow it.
    async def freeze(request, forward):
        if request.is_write and not request.is_lease and not frozen:
            frozen.append(time.monotonic())
            leader.process.signal(signal.SIGSTOP)
        return await forward(request)
    frozen = []
    leader.door.faults = [freeze]
    ref = {"clusterRef": {"name": "small"}}
    world.apply("Topic", "frozen", {**ref, "partitions": 2, "replicationFactor": 1, "onDelete": "Delete"})
    world.apply("User", "frozen", {**ref, "authentication": {"type": "ScramSha512"}})
    wait_until(lambda: frozen, 20, "a write of the leader")
    world.wait_ready(("Topic", "frozen"), ("User", "frozen"))
    took(f"frozen until the other did its work (Lease {LEASE_SECONDS} s)", time.monotonic() - frozen[0])
    assert written(other, frozen[0])

    woken = time.monotonic()
    world.apply("Topic", "woken", {**ref, "partitions": 1, "replicationFactor": 1, "onDelete": "Delete"})
    leader.process.signal(signal.SIGCONT)
    world.wait_ready(("Topic", "woken"))
    wait_until(lambda: leader.says("leadership lost"), 10, "the old leader to know")
    time.sleep(1.5)
    # What lay in the sockets when it froze is not its doing now: a write that was not even sent is.
    assert written(leader, woken) == []
    assert len(written(leader, frozen[0])) <= 4  # one per worker, all of before it froze
    assert leader.crashes == other.crashes == world.drawn_twice() == []
    assert (leader.lives, other.lives) == (1, 1)


def test_without_the_api_server_nobody_acts_and_afterwards_one_does(pair, took):
    world, leader, other = pair
    world.apply_cluster()
    world.apply_rest()
    world.wait_ready(*world.ALL)
    world.wait_quiet()
    leader.door.go_away()
    gone = time.monotonic()
    world.apply("Topic", "meanwhile", {"clusterRef": {"name": "small"}, "partitions": 1, "replicationFactor": 1, "onDelete": "Delete"})
    wait_until(lambda: leader.says("leadership lost"), 3 * LEASE_SECONDS, "the leader to give up")
    world.wait_ready(("Topic", "meanwhile"))
    took("leader cut off until the other did its work", time.monotonic() - gone)
    back = time.monotonic()
    leader.door.come_back()
    time.sleep(2 * LEASE_SECONDS)
    assert written(leader, back) == []
    other.stop()  # gives the Lease up: no wait for its end
    stopped = time.monotonic()
    world.apply("Topic", "afterwards", {"clusterRef": {"name": "small"}, "partitions": 1, "replicationFactor": 1, "onDelete": "Delete"})
    world.wait_ready(("Topic", "afterwards"))
    took("other one stopped until the first did its work", time.monotonic() - stopped)
    assert written(other, stopped) == []
