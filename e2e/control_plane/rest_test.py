"""At rest nothing is written: not by an operator that waits, not by one that was started again."""

import time


def test_a_restart_at_rest_writes_nothing(world, took):
    world.make()
    before = world.state()
    since = time.monotonic()
    for _ in range(3):
        world.operator.kill()
        time.sleep(2.5)
    took("requests of three starts", sum(1 for r in world.operator.door.seen if r.at > since))
    assert [f"{w.what} {w.body.decode()[:400]}" for w in world.operator.door.writes(since)] == []
    assert world.operator.lives == 4
    assert world.state() == before
