#include "operator/cli/access.h"

#include <fstream>
#include <sstream>

#include "operator/cli/client_config.h"

namespace op::cli {
namespace {

using broker::Error;
using broker::ErrorCode;
using broker::Result;

Result<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  if (!in || !(out << in.rdbuf())) {
    return Error{ErrorCode::kInvalidConfig, "cannot read " + (path.empty() ? "''" : path)};
  }
  return out.str();
}

Result<kafka::ConnectionSpec> named_by_options(const Target& target) {
  kafka::ConnectionSpec spec;
  spec.tls = false;
  if (!target.client_config.empty()) {
    ASSIGN_OR_RETURN(const std::string text, read_file(target.client_config));
    auto parsed = parse_client_config(text, read_file);
    if (!parsed.ok())
      return Error{parsed.code(), target.client_config + ": " + parsed.error().detail};
    spec = std::move(*parsed);
  }
  if (!target.bootstrap.empty()) {
    ASSIGN_OR_RETURN(spec.brokers, parse_bootstrap(target.bootstrap));
  }
  if (spec.brokers.empty()) {
    return Error{ErrorCode::kInvalidConfig, "no bootstrap.servers in " + target.client_config +
                                                ": give --bootstrap HOST:PORT"};
  }
  return spec;
}

}  // namespace

Result<std::unique_ptr<Brokers>> open_kafka(const Target& target) {
  ASSIGN_OR_RETURN(const kafka::ConnectionSpec spec, named_by_options(target));
  auto brokers = Brokers::connect(spec);
  if (brokers.ok() || brokers.code() == ErrorCode::kInvalidConfig) return brokers;
  if (brokers.code() == ErrorCode::kSaslAuthenticationFailed) {
    return Error{brokers.code(),
                 "the user '" + spec.sasl_username + "' was not let in: " + brokers.error().detail};
  }
  return Error{brokers.code(), "Kafka does not answer: " + brokers.error().detail};
}

}  // namespace op::cli
