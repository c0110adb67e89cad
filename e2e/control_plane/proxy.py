"""Between an operator and the API server: every request is noted, and can be spoiled in any way an API server knows.

A fault is `async def fault(request, forward) -> Answer`: it may answer itself, change what forward(request) brings, wait, or
raise Cut, which ends the connection without an answer. Each operator has a Door of its own, so that one sees who wrote what.
"""

import asyncio
import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

BUFFER = 32 << 20


class Cut(Exception):
    """The connection ends here."""


@dataclass
class Request:
    method: str
    target: str
    headers: dict
    body: bytes
    at: float = field(default_factory=time.monotonic)
    status: int = 0  # of the API server's answer, once there is one: what it did

    def __post_init__(self):
        path = urlsplit(self.target).path.strip("/").split("/")
        rest = path[2:] if path[0] == "api" else path[3:]
        self.namespace = ""
        if len(rest) > 2 and rest[0] == "namespaces":
            self.namespace, rest = rest[1], rest[2:]
        self.resource, self.name, self.subresource = (*rest, "", "", "")[:3]
        if self.name == "" and self.method == "POST":
            self.name = self.json().get("metadata", {}).get("name", "")

    def json(self):
        try:
            return json.loads(self.body or b"{}")
        except ValueError:
            return {}

    @property
    def is_write(self):
        return self.method != "GET"

    @property
    def is_watch(self):
        return "watch=1" in self.target

    @property
    def is_list(self):
        return self.method == "GET" and self.resource != "" and self.name == "" and not self.is_watch

    @property
    def is_lease(self):
        return self.resource == "leases"

    @property
    def what(self):
        """The same in every run: "PATCH topics/status shop"."""
        if self.resource == "events":
            body = self.json()
            return f"{self.method} events {body.get('involvedObject', {}).get('name', '')} {body.get('reason', '')}"
        sub = f"/{self.subresource}" if self.subresource else ""
        return f"{self.method} {self.resource}{sub} {self.name}"


class Answer:
    """A whole one has `body`; a stream has `pieces` instead, an async iterator."""

    def __init__(self, status, headers=None, body=b"", pieces=None):
        self.status, self.headers, self.body, self.pieces = status, headers or {}, body, pieces

    @staticmethod
    def refusal(code, reason, message, retry_after=None):
        body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message, "code": code}
        headers = {"content-type": "application/json"}
        if retry_after is not None:
            headers["retry-after"] = str(retry_after)
        return Answer(code, headers, json.dumps(body).encode())


async def read_head(reader):
    """(first line, headers), or None at the end of the connection."""
    try:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except asyncio.IncompleteReadError:
        return None
    return lines[0], {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}


async def chunks(reader):
    while size := int((await reader.readline()).split(b";")[0], 16):
        piece = await reader.readexactly(size)
        await reader.readexactly(2)
        yield piece
    await reader.readline()


async def read_body(reader, headers):
    if headers.get("transfer-encoding") == "chunked":
        return b"".join([piece async for piece in chunks(reader)])
    return await reader.readexactly(int(headers.get("content-length", 0)))


class Door:
    """A port of the proxy, for one operator. `faults`: the outermost first; replace the list, do not change it."""

    def __init__(self, proxy):
        self.proxy, self.faults, self.seen = proxy, [], []
        self.port = 0
        self._server, self._connections = None, set()

    # --- what it saw ---

    def writes(self, since=0.0, leases=False):
        return [r for r in list(self.seen) if r.is_write and r.at >= since and (leases or not r.is_lease)]

    def requests_per_second(self, since):
        """Of the busiest second, the Lease not counted."""
        times = [r.at for r in list(self.seen) if r.at >= since and not r.is_lease]
        return max((sum(1 for t in times if start <= t < start + 1) for start in times), default=0)

    # --- being there ---

    async def _open(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.proxy.server_tls, limit=BUFFER)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self):
        self._server.close()
        for writer in list(self._connections):
            writer.transport.abort()

    def go_away(self):
        """Nobody listens any more, as when the API server's machine restarts."""
        self.proxy.run(self._close())

    def come_back(self):
        self.proxy.run(self._open())

    # --- serving ---

    async def _serve(self, reader, writer):
        self._connections.add(writer)
        upstream = None
        try:
            while head := await read_head(reader):
                line, headers = head
                method, target, _ = line.split(" ", 2)
                request = Request(method, target, headers, await read_body(reader, headers))
                self.seen.append(request)
                if upstream is None:
                    upstream = await asyncio.open_connection("127.0.0.1", self.proxy.upstream_port, ssl=self.proxy.client_tls, limit=BUFFER)
                await self._answer(await self._through(request, upstream), writer)
        except (Cut, OSError, asyncio.IncompleteReadError, ssl.SSLError):
            writer.transport.abort()
        finally:
            self._connections.discard(writer)
            for end in (writer, *([upstream[1]] if upstream else [])):
                end.close()

    async def _through(self, request, upstream):
        async def last(request):
            return await self._forward(request, upstream)
        forward = last
        for fault in reversed(self.faults):
            def forward(request, fault=fault, inner=forward):
                return fault(request, inner)
        return await forward(request)

    @staticmethod
    async def _forward(request, upstream):
        reader, writer = upstream
        kept = {k: v for k, v in request.headers.items() if k not in ("transfer-encoding", "content-length", "connection", "host")}
        head = {"host": "127.0.0.1", **kept, "content-length": len(request.body)}
        lines = [f"{request.method} {request.target} HTTP/1.1", *(f"{k}: {v}" for k, v in head.items()), "", ""]
        writer.write("\r\n".join(lines).encode("latin-1") + request.body)
        await writer.drain()
        answered = await read_head(reader)
        if answered is None:
            raise Cut
        line, headers = answered
        request.status = int(line.split(" ", 2)[1])
        if request.is_watch and request.status == 200:
            return Answer(200, headers, pieces=chunks(reader))
        return Answer(request.status, headers, await read_body(reader, headers))

    @staticmethod
    async def _answer(answer, writer):
        headers = {k: v for k, v in answer.headers.items() if k not in ("transfer-encoding", "content-length", "connection")}
        headers |= {"transfer-encoding": "chunked"} if answer.pieces else {"content-length": len(answer.body)}
        writer.write("\r\n".join([f"HTTP/1.1 {answer.status} -", *(f"{k}: {v}" for k, v in headers.items()), "", ""]).encode("latin-1"))
        if answer.pieces is None:
            writer.write(answer.body)
            return await writer.drain()
        async for piece in answer.pieces:
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()


class Proxy:
    """Runs the doors on a thread of its own."""

    def __init__(self, plane):
        self.upstream_port = plane.port
        self.client_tls = ssl.create_default_context(cafile=str(plane.ca))
        self.server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server_tls.load_cert_chain(plane.folder / "server.crt", plane.folder / "server.key")
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda *_: None)  # connections end in all ways here
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def door(self):
        door = Door(self)
        self.run(door._open())
        return door

    async def _end(self):
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def close(self):
        self.run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
