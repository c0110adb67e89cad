#include "broker/io/posix/http_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "broker/io/posix/certificates_for_tests.h"
#include "broker/io/posix/limits.h"
#include "broker/io/posix/unique_fd.h"

namespace broker::io::posix {
namespace {

using namespace std::chrono_literals;

HttpResponse echo(const HttpRequest& request) {
  if (request.path == "/throws") throw std::runtime_error("no");
  return {200, "text/plain",
          request.method + " " + request.path + "?" + request.query + " " + request.body};
}

UniqueFd connect_to(const Endpoint& endpoint) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(endpoint.port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return fd;
}

std::string exchange(int fd, const std::string& text, const std::string& until) {
  EXPECT_EQ(::send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  std::string got;
  char buffer[4096];
  while (got.find(until) == got.npos) {
    const ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0) break;
    got.append(buffer, static_cast<std::size_t>(n));
  }
  return got;
}

std::unique_ptr<HttpServer> start(HttpServerOptions options = {}) {
  options.endpoint = {"127.0.0.1", 0};
  auto server = HttpServer::start(std::move(options), echo);
  EXPECT_TRUE(server.ok()) << to_string(server.error());
  return std::move(*server);
}

TEST(HttpServer, AnswersManyRequestsOnOneConnection) {
  const auto server = start();
  const UniqueFd fd = connect_to(server->local());
  for (int i = 0; i < 3; ++i) {
    const std::string answer = exchange(
        fd.get(), "POST /x?q=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", "body");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer;
    EXPECT_NE(answer.find("POST /x?q=1 body"), std::string::npos);
  }
  EXPECT_TRUE(exchange(fd.get(), "GET /throws HTTP/1.1\r\nHost: a\r\n\r\n", "error")
                  .starts_with("HTTP/1.1 500"));
}

TEST(HttpServer, RefusesWhatIsTooLargeOrNotHttp) {
  const auto server = start({.max_body_bytes = 10, .max_header_bytes = 1024});
  EXPECT_NE(exchange(connect_to(server->local()).get(),
                     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n", "\r\n\r\n")
                .find(" 413 "),
            std::string::npos);
  EXPECT_NE(exchange(connect_to(server->local()).get(),
                     "GET / HTTP/1.1\r\nX: " + std::string(2000, 'a') + "\r\n\r\n", "\r\n\r\n")
                .find(" 431 "),
            std::string::npos);
  EXPECT_NE(
      exchange(connect_to(server->local()).get(), "nonsense\r\n\r\n", "\r\n\r\n").find(" 400 "),
      std::string::npos);
}

TEST(HttpServer, ClosesSilentAndSurplusConnections) {
  const auto server = start({.max_connections = 1, .timeout = 200ms});
  const UniqueFd first = connect_to(server->local());
  EXPECT_NE(exchange(first.get(), "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET").find(" 200 "),
            std::string::npos);
  const UniqueFd surplus = connect_to(server->local());
  char byte;
  EXPECT_EQ(::recv(surplus.get(), &byte, 1, 0), 0);
  EXPECT_EQ(::recv(first.get(), &byte, 1, 0), 0) << "idle for longer than the timeout";
}

TEST(HttpServer, ServesTlsAndTheReloadedCertificate) {
  TemporaryDirectory files;
  const TestCa ca("ca");
  write_pair(files, "web", ca.issue("first"));
  HttpServerOptions options;
  options.tls = TlsServerOptions{.certificate_chain_path = files.file("web.crt"),
                                 .private_key_path = files.file("web.key")};
  const auto server = start(options);
  const auto subject = [&] {
    const UniqueFd fd = connect_to(server->local());
    const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
    const std::shared_ptr<SSL> ssl(SSL_new(context.get()), SSL_free);
    SSL_set_fd(ssl.get(), fd.get());
    EXPECT_EQ(SSL_connect(ssl.get()), 1);
    const std::string request = "GET /tls HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    SSL_write(ssl.get(), request.data(), static_cast<int>(request.size()));
    char buffer[4096];
    const int n = SSL_read(ssl.get(), buffer, sizeof buffer);
    EXPECT_NE(std::string(buffer, static_cast<std::size_t>(std::max(n, 0))).find("200 OK"),
              std::string::npos);
    char name[256];
    X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(ssl.get())),
                              NID_commonName, name, sizeof name);
    return std::string(name);
  };
  EXPECT_EQ(subject(), "first");
  write_pair(files, "web", ca.issue("second"));
  EXPECT_EQ(*server->reload_tls_if_changed(), true);
  EXPECT_EQ(subject(), "second");
}

TEST(Limits, ReadBothCgroupVersionsAndTakeTheSmallest) {
  TemporaryDirectory root;
  const auto make = [&](const std::string& directory, const std::string& file,
                        const std::string& text) {
    std::filesystem::create_directories(root.file(directory));
    write_text(root.file(directory + "/" + file), text);
  };
  CgroupRoots roots{root.file("self"), root.file("v2")};
  write_text(root.file("self"), "0::/pods/kafka\n");
  make("v2/pods/kafka", "memory.max", "max\n");
  make("v2/pods", "memory.max", "268435456\n");
  make("v2", "cpu.max", "150000 100000\n");
  EXPECT_EQ(memory_limit_bytes(roots), 268435456u);
  EXPECT_LE(usable_cpus(roots), 2u);

  roots = {root.file("self1"), root.file("v1")};
  write_text(root.file("self1"), "5:cpu,cpuacct:/p\n4:memory:/host/path\n0::/x\n");
  make("v1/memory", "memory.limit_in_bytes", "134217728\n");
  make("v1/cpu,cpuacct", "cgroup.procs", "");
  make("v1/cpu,cpuacct", "cpu.cfs_quota_us", "50000\n");
  make("v1/cpu,cpuacct", "cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(memory_limit_bytes(roots), 134217728u) << "the container sees its own cgroup as root";
  EXPECT_EQ(usable_cpus(roots), 1u);

  write_text(root.file("v1/memory/memory.limit_in_bytes"), "9223372036854771712\n");
  EXPECT_EQ(memory_limit_bytes(roots), std::nullopt);
  EXPECT_EQ(memory_limit_bytes({root.file("none"), root.file("none")}), std::nullopt);
  EXPECT_TRUE(raise_fd_limit().ok());
}

}  // namespace
}  // namespace broker::io::posix
