#pragma once

#include <string>

#include "broker/common/result.h"

namespace op::kube {

/// Where the API server is and how to prove who we are. Either *_path (read again when the file
/// changes: tokens rotate hourly) or *_pem/token is set, or neither.
struct ApiServer {
  std::string url;  // "https://10.0.0.1:443"
  std::string ca_path;
  std::string ca_pem;
  std::string token_path;
  std::string token;
  std::string client_certificate_path;
  std::string client_certificate_pem;
  std::string client_key_path;
  std::string client_key_pem;
  bool insecure_skip_tls_verify = false;
  std::string tls_server_name;  // "" = the URL's host
  std::string ns;               // the context's or pod's namespace; "default" when none is set
};

/// From the pod's service account: KUBERNETES_SERVICE_HOST/_PORT and
/// /var/run/secrets/kubernetes.io/serviceaccount. Errors: kInvalidConfig outside a pod.
broker::Result<ApiServer> in_cluster_config();

/// Reads a kubeconfig's current (or the named) context. Relative paths are relative to the file.
/// Users with exec or auth-provider plug-ins are refused: kUnsupportedVersion.
broker::Result<ApiServer> load_kubeconfig(const std::string& path, const std::string& context = {});

}  // namespace op::kube
