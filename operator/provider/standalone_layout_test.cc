#include "operator/provider/standalone_layout.h"

#include <gtest/gtest.h>

namespace op::provider {
namespace {

ProcessLayout layout() {
  ProcessLayout out;
  out.mounts = {{"/var/lib/kafka/data-0", "/d/volumes/x"}, {"/etc/millrace/certs", "/d/certs"}};
  out.headless_suffix = ".orders-brokers.kafka.svc";
  out.port_of = [](const std::string&, std::uint16_t port) {
    return static_cast<std::uint16_t>(port == 9090 ? 19090 : port);
  };
  out.pod = "orders-main-0";
  return out;
}

TEST(ProcessLayout, NodeFileWinsAndHostsPathsAndPortsAreThisMachines) {
  EXPECT_EQ(process_properties(
                layout(),
                "# comment\nnode.id=9\n"
                "controller.quorum.bootstrap.servers=orders-main-0.orders-brokers.kafka.svc:9090,"
                "orders-main-1.orders-brokers.kafka.svc:9090\n"
                "listeners=CONTROLLER://:9090,TLS://:9093\n",
                "node.id=0\nlog.dirs=/var/lib/kafka/data-0/kafka-log0\n"),
            "node.id=0\n"
            "controller.quorum.bootstrap.servers=127.0.0.1:19090,127.0.0.1:19090\n"
            "listeners=CONTROLLER://127.0.0.1:19090,TLS://127.0.0.1:9093\n"
            "log.dirs=/d/volumes/x/kafka-log0\n");
}

TEST(ProcessLayout, InitialControllersAreOnLoopback) {
  const std::string text = process_bootstrap(
      layout(), R"({"clusterId":"x","initialControllers":[{"id":0,"directoryId":"d",
                   "host":"orders-main-0.orders-brokers.kafka.svc","port":9090}]})");
  EXPECT_NE(text.find(R"("host": "127.0.0.1")"), std::string::npos);
  EXPECT_NE(text.find(R"("port": 19090)"), std::string::npos);
}

}  // namespace
}  // namespace op::provider
