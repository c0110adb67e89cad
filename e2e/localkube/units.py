"""Every process of the cluster, with its configuration: the control plane and DNS on node 0, and what each node runs."""

import json

from e2e.localkube import layout

KUBELET = """apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 0.0.0.0
authentication: {{anonymous: {{enabled: false}}, webhook: {{enabled: true}}, x509: {{clientCAFile: {root}/pki/ca.crt}}}}
authorization: {{mode: Webhook}}
cgroupDriver: cgroupfs
cgroupRoot: /{cgroup}
failCgroupV1: false
failSwapOn: false
clusterDomain: cluster.local
clusterDNS: [{dns}]
containerRuntimeEndpoint: unix://{dir}/containerd.sock
resolvConf: ""
podLogsDir: {dir}/pod-logs
volumePluginDir: {dir}/volume-plugins
evictionHard: {{nodefs.available: "1%", imagefs.available: "1%", memory.available: "100Mi"}}
imageGCHighThresholdPercent: 100
syncFrequency: 10s
nodeStatusUpdateFrequency: 5s
eventRecordQPS: 0
enforceNodeAllocatable: []
"""

PROXY = """apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {{kubeconfig: {root}/pki/proxy.kubeconfig}}
clusterCIDR: {pods}
hostnameOverride: {name}
mode: iptables
iptables: {{minSyncPeriod: 100ms}}
conntrack: {{maxPerCore: 0, min: 0}}
"""

# restrict_oom_score_adj: without CAP_SYS_RESOURCE a negative score is refused, and runc then dies with
# "can't get final child's PID from pipe: EOF".
CONTAINERD = """version = 2
root = "{dir}/containerd"
state = "/run/containerd/{name}"
oom_score = 0
[grpc]
  address = "{dir}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localkube/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{dir}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""

COREFILE = """.:53 {{
  bind {dns}
  kubernetes cluster.local {{
    kubeconfig {root}/pki/dns.kubeconfig millrace-dev
    pods insecure
    ttl 5
  }}
  cache 5
}}
"""

# What our operator writes, one line of JSON per request: tests count them (cluster.audit). Its Lease is left out: that is
# written every two seconds by design.
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}]},
        {"level": "Metadata", "userGroups": ["system:serviceaccounts:millrace-system"],
         "verbs": ["create", "update", "patch", "delete", "deletecollection"]},
        {"level": "None"}]}


def write_configuration(nodes):
    root = layout.root()
    layout.audit_policy().write_text(json.dumps(AUDIT_POLICY))
    for i in range(nodes):
        folder = layout.node_dir(i)
        for sub in ("cni", "kubelet", "volumes"):
            (folder / sub).mkdir(parents=True, exist_ok=True)
        values = {"root": root, "dir": folder, "name": layout.node_name(i), "cgroup": layout.cgroup(i),
                  "dns": layout.node_address(0), "pods": layout.POD_NETWORK}
        (folder / "kubelet.yaml").write_text(KUBELET.format(**values))
        (folder / "proxy.yaml").write_text(PROXY.format(**values))
        (folder / "containerd.toml").write_text(CONTAINERD.format(**values))
        (folder / "cni" / "10-bridge.conflist").write_text(json.dumps(_cni(i, folder)))
    (root / "Corefile").write_text(COREFILE.format(root=root, dns=layout.node_address(0)))
    _write_provisioner(nodes)


def _cni(i, folder):
    address_management = {"type": "host-local", "dataDir": str(folder / "ipam"),
                          "ranges": [[{"subnet": layout.pod_subnet(i)}]], "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False, "hairpinMode": True,
              "ipam": address_management}
    return {"cniVersion": "1.0.0", "name": "localkube",
            "plugins": [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}]}


def _write_provisioner(nodes):
    folder = layout.root() / "provisioner"
    folder.mkdir(exist_ok=True)
    nodes = [{"node": layout.node_name(i), "paths": [str(layout.node_dir(i) / "volumes")]} for i in range(nodes)]
    (folder / "config.json").write_text(json.dumps({"nodePathMap": nodes}))
    (folder / "helperPod.yaml").write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: helper-pod}\n"
        'spec: {containers: [{name: helper-pod, image: "localkube/busybox:1", imagePullPolicy: IfNotPresent}]}\n')
    (folder / "setup").write_text('#!/bin/sh\nset -eu\nmkdir -m 0777 -p "$VOL_DIR"\n')
    (folder / "teardown").write_text('#!/bin/sh\nset -eu\nrm -rf "$VOL_DIR"\n')


def _unit(name, node, argv, gate=None, env=None):
    # nsenter, not `ip netns exec`: that remounts /sys and hides the cgroups from the kubelet.
    return {"name": name, "argv": ["nsenter", f"--net={layout.netns_path(node)}", *map(str, argv)], "gate": gate or {},
            "env": env or {}, "log": str(layout.root() / "log" / f"{name}.log")}


def all_units(nodes, bin_dir):
    api = {"url": f"{layout.api_url()}/readyz", "ca": str(layout.root() / "pki" / "ca.crt")}
    units = [*_control_plane(bin_dir, api)]
    for i in range(nodes):
        units += _node(i, bin_dir, api)
    return units


def _control_plane(bin_dir, api):
    root, pki = layout.root(), layout.root() / "pki"
    etcd = ["etcd", "--data-dir", root / "etcd", "--listen-client-urls", f"http://127.0.0.1:2379",
            "--advertise-client-urls", "http://127.0.0.1:2379", "--listen-peer-urls", "http://127.0.0.1:2380",
            "--unsafe-no-fsync", "--log-level", "warn"]
    api_server = [
        bin_dir / "kube-apiserver", "--etcd-servers=http://127.0.0.1:2379", "--bind-address=0.0.0.0",
        f"--advertise-address={layout.node_address(0)}", f"--secure-port={layout.API_PORT}", f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key", f"--client-ca-file={pki}/ca.crt", f"--token-auth-file={pki}/tokens.csv",
        f"--service-account-key-file={pki}/sa.key", f"--service-account-signing-key-file={pki}/sa.key",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local", "--authorization-mode=Node,RBAC",
        f"--service-cluster-ip-range={layout.SERVICE_NETWORK}", f"--kubelet-client-certificate={pki}/kubelet-client.crt",
        f"--kubelet-client-key={pki}/kubelet-client.key", "--enable-admission-plugins=NodeRestriction",
        f"--requestheader-client-ca-file={pki}/ca.crt", "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-", "--allow-privileged=true",
        "--kubelet-preferred-address-types=InternalIP", f"--audit-policy-file={layout.audit_policy()}",
        f"--audit-log-path={layout.audit_log()}", "--audit-log-mode=blocking", "--audit-log-maxsize=0"]
    controllers = [
        bin_dir / "kube-controller-manager", *_kubeconfigs("kcm"), f"--service-account-private-key-file={pki}/sa.key",
        f"--root-ca-file={pki}/ca.crt", "--use-service-account-credentials=true", "--leader-elect=false",
        f"--cluster-cidr={layout.POD_NETWORK}", "--allocate-node-cidrs=false", f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key", "--node-monitor-grace-period=20s"]
    scheduler = [bin_dir / "kube-scheduler", *_kubeconfigs("scheduler"), "--leader-elect=false"]
    provisioner = [
        bin_dir / "local-path-provisioner", "start", "--config", root / "provisioner" / "config.json",
        "--service-account-name", "local-path-provisioner", "--kubeconfig", layout.kubeconfig(), "--namespace",
        "local-path-storage", "--helper-image", "localkube/busybox:1", "--helper-pod-file",
        root / "provisioner" / "helperPod.yaml", "--configmap-name", "local-path-config"]
    return [
        _unit("etcd", 0, etcd),
        _unit("kube-apiserver", 0, api_server),
        _unit("kube-controller-manager", 0, controllers, gate=api),
        _unit("kube-scheduler", 0, scheduler, gate=api),
        _unit("coredns", 0, [bin_dir / "coredns", "-conf", root / "Corefile"], gate=api),
        _unit("local-path-provisioner", 0, provisioner, gate=api,
              env={"POD_NAMESPACE": "local-path-storage", "KUBECONFIG": str(layout.kubeconfig())})]


def _kubeconfigs(name):
    return [f"--{kind}={layout.kubeconfig(name)}"
            for kind in ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")]


def _node(i, bin_dir, api):
    folder, name, socket = layout.node_dir(i), layout.node_name(i), str(layout.containerd_socket(i))
    kubelet = [bin_dir / "kubelet", f"--config={folder}/kubelet.yaml", f"--kubeconfig={layout.kubeconfig(name)}",
               f"--hostname-override={name}", f"--node-ip={layout.node_address(i)}", f"--root-dir={folder}/kubelet",
               f"--cert-dir={folder}/kubelet-pki",
               f"--node-labels=topology.kubernetes.io/zone=z{i},topology.kubernetes.io/region=local"]
    return [_unit(f"containerd-{name}", i, ["containerd", "-c", folder / "containerd.toml"]),
            _unit(f"kubelet-{name}", i, kubelet, gate={"socket": socket, **api}),
            _unit(f"kube-proxy-{name}", i, [bin_dir / "kube-proxy", f"--config={folder}/proxy.yaml"], gate=api)]
