#include "operator/provider/standalone_layout.h"

#include <cctype>
#include <charconv>
#include <nlohmann/json.hpp>

namespace op::provider {
namespace {

constexpr std::string_view kLoopback = "127.0.0.1";

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

bool is_name_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-';
}

/// "orders-main-0.orders-brokers.kafka.svc:9090" -> "127.0.0.1:<its port>".
void map_hosts(const ProcessLayout& layout, std::string& text) {
  for (std::size_t at = text.find(layout.headless_suffix); at != std::string::npos;
       at = text.find(layout.headless_suffix, at)) {
    std::size_t begin = at;
    while (begin > 0 && is_name_character(text[begin - 1])) --begin;
    const std::string pod = text.substr(begin, at - begin);
    std::size_t end = at + layout.headless_suffix.size();
    std::string here(kLoopback);
    if (end < text.size() && text[end] == ':') {
      std::uint16_t port = 0;
      const auto [stop, error] =
          std::from_chars(text.data() + end + 1, text.data() + text.size(), port);
      if (error == std::errc()) {
        here += ":" + std::to_string(layout.port_of(pod, port));
        end = static_cast<std::size_t>(stop - text.data());
      }
    }
    text.replace(begin, end - begin, here);
    at = begin + here.size();
  }
}

/// "CONTROLLER://:9090" -> "CONTROLLER://127.0.0.1:<its port>".
void bind_to_loopback(const ProcessLayout& layout, std::string& text) {
  constexpr std::string_view kAny = "://:";
  for (std::size_t at = text.find(kAny); at != std::string::npos; at = text.find(kAny, at)) {
    const std::size_t digits = at + kAny.size();
    std::uint16_t port = 0;
    const auto [stop, error] =
        std::from_chars(text.data() + digits, text.data() + text.size(), port);
    const std::size_t end = static_cast<std::size_t>(stop - text.data());
    const std::string here =
        "://" + std::string(kLoopback) + ":" + std::to_string(layout.port_of(layout.pod, port));
    text.replace(at, end - at, here);
    at += here.size();
  }
}

void read_lines(std::string_view text, std::vector<std::string>& order,
                std::map<std::string, std::string>& values) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t equals = line.find('=');
    if (line.empty() || line.front() == '#' || equals == std::string::npos) continue;
    const std::string key = line.substr(0, equals);
    if (values.insert_or_assign(key, line.substr(equals + 1)).second) order.push_back(key);
  }
}

}  // namespace

std::string map_path(const ProcessLayout& layout, std::string text) {
  for (const auto& [from, to] : layout.mounts) replace_all(text, from, to);
  return text;
}

std::string process_properties(const ProcessLayout& layout, std::string_view server_properties,
                               std::string_view node_properties) {
  std::vector<std::string> order;
  std::map<std::string, std::string> values;
  read_lines(server_properties, order, values);
  read_lines(node_properties, order, values);
  std::string text;
  for (const std::string& key : order) {
    std::string value = map_path(layout, values[key]);
    map_hosts(layout, value);
    if (key == "listeners") bind_to_loopback(layout, value);
    text += key + "=" + value + "\n";
  }
  return text;
}

std::string process_bootstrap(const ProcessLayout& layout, const std::string& cluster_json) {
  auto document = nlohmann::json::parse(cluster_json, nullptr, false);
  if (!document.is_object()) return cluster_json;
  for (auto& controller : document["initialControllers"]) {
    std::string address =
        controller.value("host", "") + ":" + std::to_string(controller.value("port", 0));
    map_hosts(layout, address);
    const std::size_t colon = address.rfind(':');
    controller["host"] = address.substr(0, colon);
    controller["port"] = std::atoi(address.c_str() + colon + 1);
  }
  return document.dump(2) + "\n";
}

}  // namespace op::provider
