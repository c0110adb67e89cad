"""Requests by hand: for frames that no client would send."""

import socket
import struct

API_VERSIONS, METADATA, PRODUCE, FETCH = 18, 3, 0, 1


def header(api_key, version, correlation=1, client=b"test"):
    """Request header v1."""
    return struct.pack(">hhih", api_key, version, correlation, len(client)) + client


class Wire:
    """One connection to 127.0.0.1:port."""

    def __init__(self, port, seconds=10.0):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self.name = "127.0.0.1:%d" % self.socket.getsockname()[1]

    def send(self, body, size=None):
        """One frame; `size` other than the body's is a lie."""
        self.socket.sendall(struct.pack(">i", len(body) if size is None else size) + body)

    def receive(self):
        """The next frame's body, or None when the connection was closed."""
        prefix = self._exactly(4)
        return None if prefix is None else self._exactly(struct.unpack(">i", prefix)[0])

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            try:
                more = self.socket.recv(count - len(data))
            except ConnectionResetError:
                return None
            if not more:
                return None
            data += more
        return data

    def works(self):
        """Whether an ordinary request is answered."""
        self.send(header(API_VERSIONS, 0, correlation=77))
        answer = self.receive()
        return answer is not None and struct.unpack_from(">ih", answer) == (77, 0)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
