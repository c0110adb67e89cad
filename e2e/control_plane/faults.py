"""What an API server, and the network before it, may do to a client. See proxy.py for what a fault is."""

import asyncio
import json

from e2e.control_plane.proxy import Answer, Cut


def only(condition, fault):
    """`fault` for the requests that `condition` finds, none for the others."""
    async def guarded(request, forward):
        return await (fault(request, forward) if condition(request) else forward(request))
    return guarded


def first(count, fault):
    """`fault` for the first `count` requests."""
    left = [count]

    async def limited(request, forward):
        left[0] -= 1
        return await (fault(request, forward) if left[0] >= 0 else forward(request))
    return limited


def slow(seconds):
    async def fault(request, forward):
        await asyncio.sleep(seconds)
        return await forward(request)
    return fault


def refuse(code, reason, message, retry_after=None):
    """Answered before anything was done."""
    async def fault(request, forward):
        return Answer.refusal(code, reason, message, retry_after)
    return fault


async def lose_answer(request, forward):
    """The write is done, and nobody hears of it."""
    await forward(request)
    raise Cut


def cut_watches(seconds):
    async def fault(request, forward):
        answer = await forward(request)
        if answer.pieces:
            answer.pieces = _until(answer.pieces, asyncio.get_running_loop().time() + seconds)
        return answer
    return fault


async def _until(pieces, deadline):
    pieces = pieces.__aiter__()
    while True:
        try:
            yield await asyncio.wait_for(pieces.__anext__(), max(0.0, deadline - asyncio.get_running_loop().time()))
        except StopAsyncIteration:
            return
        except asyncio.TimeoutError:
            raise Cut from None


async def gone(request, forward):
    """A watch from a version that the server no longer has: 410 in an event, as etcd's compaction makes it."""
    if not request.is_watch:
        return await forward(request)
    status = json.loads(Answer.refusal(410, "Expired", "too old resource version: 1 (2)").body)

    async def pieces():
        yield json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"
    return Answer(200, {"content-type": "application/json"}, pieces=pieces())


class Stale:
    """Remembers the first list of every kind, and plays it back once it is told to."""

    def __init__(self):
        self.kept, self.replaying, self.replayed = {}, False, 0

    async def __call__(self, request, forward):
        if not request.is_list:
            return await forward(request)
        if self.replaying and request.target in self.kept:
            self.replayed += 1
            return self.kept[request.target]
        answer = await forward(request)
        if answer.status == 200:
            self.kept.setdefault(request.target, answer)
        return answer


class Kill:
    """`kill()` before or after the `nth` write that is `what`; its answer is never heard."""

    def __init__(self, kill, what, nth, after):
        self.kill, self.what, self.left, self.after = kill, what, nth, after
        self.done = False

    async def __call__(self, request, forward):
        if self.done or not request.is_write or request.what != self.what:
            return await forward(request)
        self.left -= 1
        if self.left:
            return await forward(request)
        self.done = True
        if self.after:
            await forward(request)
        self.kill()
        raise Cut


class KillAlways:
    """Each life of the process ends at its first write, in turns before and after it."""

    def __init__(self, kill):
        self.kill, self.turn, self.dying = kill, 0, False

    async def __call__(self, request, forward):
        if not request.is_write:
            return await forward(request)
        if self.dying:
            raise Cut
        self.dying = True
        self.turn += 1
        if self.turn % 2 == 0:
            await forward(request)
        self.kill()
        raise Cut

    def born(self):
        self.dying = False
