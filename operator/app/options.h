#pragma once

#include <string>
#include <vector>

#include "broker/io/transport.h"

namespace op::app {

enum class Mode { kCluster, kStandalone, kStripFinalizers };

/// The command line, with what the environment of a pod adds (POD_NAME, POD_NAMESPACE,
/// MILLRACE_BROKER_IMAGE, MILLRACE_NAMESPACES).
struct Options {
  Mode mode = Mode::kCluster;
  std::string kubeconfig;  // "" = in-cluster
  std::string context;
  std::vector<std::string> namespaces;  // empty: all
  std::string operator_namespace;       // "" = the pod's or the kubeconfig's
  std::vector<std::string> pod_labels;  // "key=value" of the operator's own pods
  std::string identity;                 // unique among replicas
  bool leader_election = true;
  std::string lease = "millrace-operator";
  int lease_seconds = 15;  // how long a replica that vanished is waited for
  std::string broker_image = "docker.io/millrace/broker:dev";
  int workers = 4;
  int offsets_seconds = 10;  // between two rounds of asking for offsets, while metrics are scraped
  broker::io::Endpoint http{"0.0.0.0", 8080};  // port 0: none
  bool text_log = false;
  std::string log_level = "info";
  // standalone
  std::string resources;
  std::string data;
  std::string broker_program = "millrace-broker";
};

struct Parsed {
  bool run = false;
  int exit_code = 0;
  Options options;
};
/// Prints usage or what is wrong itself.
Parsed parse_command_line(int argc, char** argv);

}  // namespace op::app
