"""What our operator wrote to the API server, from the API server's own audit log: reads and the Lease are not in it."""

import json
from dataclasses import dataclass

from e2e.localkube import layout


@dataclass(frozen=True)
class Write:
    pod: str  # which replica
    verb: str
    resource: str  # "topics/status"
    namespace: str
    name: str
    code: int

    @property
    def made(self):
        """An object came into being: by POST, or by a server-side apply of what was not there."""
        return self.code == 201 and self.resource != "events"

    @property
    def removed(self):
        return self.verb.startswith("delete") and self.code == 200

    def __str__(self):
        return f"{self.pod}: {self.verb} {self.resource} {self.namespace}/{self.name}: {self.code}"


def _write(event):
    what = event.get("objectRef", {})
    resource = what.get("resource", "") + (f"/{what['subresource']}" if "subresource" in what else "")
    pod = event["user"].get("extra", {}).get("authentication.kubernetes.io/pod-name", ["?"])[0]
    return Write(pod, event["verb"], resource, what.get("namespace", ""), what.get("name", ""), event.get("responseStatus", {}).get("code", 0))


class Audit:
    """The writes from now on."""

    def __init__(self):
        self._offset = layout.audit_log().stat().st_size if layout.audit_log().exists() else 0

    def writes(self, namespace=None):
        """Those of one namespace, or of all; in the order of their answers."""
        if not layout.audit_log().exists():
            return []
        with open(layout.audit_log(), "rb") as file:
            file.seek(self._offset)
            lines = file.read().splitlines(keepends=True)
        found = [_write(json.loads(line)) for line in lines if line.endswith(b"\n")]
        return [w for w in found if namespace in (None, w.namespace)]
