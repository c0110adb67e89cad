"""A few plain requests to the API server: enough to watch a cluster come up without a kubectl process per look."""

import json
import ssl
import urllib.error
import urllib.request

from e2e.localkube import layout, pki


class Api:
    def __init__(self):
        self._tls = ssl.create_default_context(cafile=str(layout.root() / "pki" / "ca.crt"))
        self._token = pki.token()

    def get(self, path, timeout=2.0):
        """The decoded answer, or None when there is none (not up yet, refused, no such object)."""
        request = urllib.request.Request(layout.api_url() + path, headers={"Authorization": f"Bearer {self._token}"})
        try:
            with urllib.request.urlopen(request, timeout=timeout, context=self._tls) as answer:
                body = answer.read()
        except (OSError, urllib.error.URLError):
            return None
        try:
            return json.loads(body)
        except ValueError:
            return body.decode(errors="replace")

    def send(self, method, path, body, timeout=10.0):
        """The decoded answer to a write; an answer of 400 and above is a failure."""
        request = urllib.request.Request(layout.api_url() + path, method=method, data=None if body is None else json.dumps(body).encode(),
                                         headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=timeout, context=self._tls) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.read().decode(errors='replace')}") from None

    def watch(self, path):
        """Events as they come, until the server ends the watch or somebody closes the generator."""
        request = urllib.request.Request(layout.api_url() + path, headers={"Authorization": f"Bearer {self._token}"})
        with urllib.request.urlopen(request, timeout=600, context=self._tls) as answer:
            for line in answer:
                yield json.loads(line)

    def ready(self):
        return self.get("/readyz") == "ok"

    def ready_nodes(self):
        """name -> (is Ready, when its kubelet last said so, as RFC 3339 with whole seconds)."""
        found = {}
        for node in (self.get("/api/v1/nodes") or {}).get("items", []):
            ready = next((c for c in node["status"].get("conditions", []) if c["type"] == "Ready"), {})
            found[node["metadata"]["name"]] = (ready.get("status") == "True", ready.get("lastHeartbeatTime", ""))
        return found
