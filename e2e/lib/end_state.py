"""What an operator made and said, in a form that is equal for two runs that went well."""

import json
import re

API_GROUP = "millrace.io/"
TIMES = re.compile(r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"')
NOTES = ("kubectl.kubernetes.io/last-applied-configuration", "millrace.io/applied-digest")


def state_of(items, namespace):
    """The objects by kind and name, without what is drawn by lot or is a time."""
    state, drawn = {}, {}
    for item in items:
        name = item["metadata"]["name"]
        if name in ("default", "kube-root-ca.crt"):
            continue
        if item["kind"] == "Cluster" and "clusterId" in item.get("status", {}):
            drawn[item["status"]["clusterId"]] = "CLUSTER"
            drawn |= {c["directoryId"]: f"DIRECTORY-{c['nodeId']}" for c in item["status"].get("initialControllers", [])}
        state[f"{item['kind']}/{name}"] = normal(item)
    text = json.dumps(state, sort_keys=True).replace(namespace, "NAMESPACE")
    for lot, name in drawn.items():
        text = text.replace(lot, name)
    text = TIMES.sub('"TIME"', text)
    return json.loads(text)


def differences(expected, actual, path=""):
    """Where two documents differ, one line each."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return [line for key in sorted({*expected, *actual})
                for line in differences(expected.get(key, "absent"), actual.get(key, "absent"), f"{path}.{key}")]
    return [] if expected == actual else [f"{path}: {expected} became {actual}"]


def normal(item):
    meta = {key: item["metadata"].get(key) for key in ("name", "labels", "annotations", "finalizers")}
    for note in NOTES:
        (meta["annotations"] or {}).pop(note, None)
    found = {"metadata": meta, "owners": [o["kind"] for o in item["metadata"].get("ownerReferences", [])]}
    for part in ("spec", "data", "status"):
        if part in item and (part != "status" or item["apiVersion"].startswith(API_GROUP)):
            found[part] = json.loads(json.dumps(item[part]))
    kind = item["kind"]
    if kind == "Secret":
        found["data"] = sorted(found["data"])
    if kind == "Service":
        found["spec"].pop("clusterIPs", None)
        found["spec"]["clusterIP"] = found["spec"].get("clusterIP") == "None"
    if kind == "StatefulSet":  # a digest of addresses too, which name the namespace
        found["spec"]["template"]["metadata"]["annotations"].pop("millrace.io/declared-digest")
    for condition in found.get("status", {}).get("conditions", []):
        condition.pop("lastTransitionTime", None)
    if kind == "Cluster":  # who was elected
        found.get("status", {}).pop("quorumLeader", None)
    if kind == "Topic":
        found.get("status", {}).pop("topicId", None)
    return found
