"""The steps of a login by hand."""

import struct

from e2e.conformance.support.wire import METADATA, Wire, header

HANDSHAKE, AUTHENTICATE = 17, 36


class Steps(Wire):
    """SASL by hand."""

    def handshake(self, mechanism="PLAIN", version=1):
        """The error code, or None when the connection was closed."""
        self.send(header(HANDSHAKE, version) + struct.pack(">h", len(mechanism)) + mechanism.encode())
        answer = self.receive()
        return None if answer is None else struct.unpack_from(">h", answer, 4)[0]

    def token(self, user="alice", version=1):
        """PLAIN's."""
        return self.authenticate(f"\0{user}\0{user}-secret".encode(), version)

    def bearer(self, token):
        """OAUTHBEARER's; of a refusal ("refused", what the server said of it, its answer to the acknowledgement)."""
        answer = self.authenticate(b"n,,\x01auth=Bearer " + token.encode() + b"\x01\x01")
        challenge = self.challenge
        return answer if answer is None or not challenge else ("refused", challenge, self.authenticate(b"\x01"))

    def authenticate(self, token, version=1):
        """(error code, message, session lifetime), or None when the connection was closed."""
        self.send(header(AUTHENTICATE, version) + struct.pack(">i", len(token)) + token)
        answer = self.receive()
        if answer is None:
            return None
        code, size = struct.unpack_from(">hh", answer, 4)
        message = "" if size < 0 else answer[8:8 + size].decode()
        rest = answer[8 + max(size, 0):]
        after = 4 + max(0, struct.unpack_from(">i", rest)[0])
        self.challenge = rest[4:after]
        return code, message, struct.unpack_from(">q", rest, after)[0] if version > 0 else None

    def metadata(self):
        """Whether it is served. (In the middle of a login Kafka answers with an error before it closes; we close.)"""
        self.send(header(METADATA, 1) + struct.pack(">i", 0))
        answer = self.receive()
        return answer is not None and struct.unpack_from(">i", answer, 4)[0] > 0
