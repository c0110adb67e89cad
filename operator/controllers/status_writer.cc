#include "operator/controllers/status_writer.h"

#include <nlohmann/json.hpp>

#include "operator/api/json.h"

namespace op::controllers {

template <class Status>
std::string status_text(const Status& status) {
  return api::encode_status(status).dump();
}

template std::string status_text(const api::ClusterStatus& status);
template std::string status_text(const api::TopicStatus& status);
template std::string status_text(const api::UserStatus& status);
template std::string status_text(const api::AclStatus& status);
template std::string status_text(const api::RebalanceStatus& status);
template std::string status_text(const api::ExternalClusterStatus& status);

}  // namespace op::controllers
