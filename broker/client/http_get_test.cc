#include "broker/client/http_get.h"

#include <gtest/gtest.h>

#include <future>

#include "broker/io/posix/event_loop.h"
#include "broker/io/posix/transport.h"

namespace broker::client {
namespace {

using namespace std::chrono_literals;

TEST(Url, IsTakenApart) {
  const auto url = parse_url("https://issuer.example:8443/realms/x/certs?a=b#c");
  ASSERT_TRUE(url.ok());
  EXPECT_TRUE(url->tls);
  EXPECT_EQ(url->endpoint, (io::Endpoint{"issuer.example", 8443}));
  EXPECT_EQ(url->target, "/realms/x/certs?a=b");
  EXPECT_EQ(parse_url("http://h")->endpoint, (io::Endpoint{"h", 80}));
  EXPECT_EQ(parse_url("HTTPS://[::1]/")->endpoint, (io::Endpoint{"::1", 443}));
  EXPECT_EQ(parse_url("http://h?x")->target, "/?x");
  for (const char* text : {"", "h", "ftp://h", "http://", "http://u@h/", "http://h:0/",
                           "http://h:99999/", "http://h/a b", "http://h/\r\nX: y"})
    EXPECT_FALSE(parse_url(text).ok()) << text;
}

TEST(HttpBody, IsWhatTheLengthOrTheChunksSay) {
  const auto body = [](const std::string& head, const std::string& rest) {
    const auto result = http_body("HTTP/1.1 " + head + "\r\n\r\n" + rest);
    return result.ok() ? *result : "! " + result.error().detail;
  };
  EXPECT_EQ(body("200 OK", "all"), "all");
  EXPECT_EQ(body("200 OK\r\nContent-Length: 2", "all"), "al");
  EXPECT_EQ(body("200 OK\r\ncontent-length: 4", "all"), "! the answer was cut short");
  EXPECT_EQ(
      body("200 OK\r\nTransfer-Encoding: chunked", "3\r\nabc\r\nA;x\r\n0123456789\r\n0\r\n\r\n"),
      "abc0123456789");
  EXPECT_EQ(body("200 OK\r\nTransfer-Encoding: chunked", "3\r\nabc\r\n"),
            "! the answer was cut short");
  EXPECT_EQ(body("404 Not Found", "x"), "! the server answered HTTP/1.1 404 Not Found");
  EXPECT_FALSE(http_body("220 smtp ready\r\n\r\n").ok());
  EXPECT_FALSE(http_body("HTTP/1.1 200 OK\r\n").ok());
}

struct HttpGetTest : ::testing::Test {
  io::posix::EventLoop loop;
  std::unique_ptr<io::Transport> transport = io::posix::make_posix_transport();
  std::unique_ptr<HttpGet> get;

  HttpGetTest() { loop.start(); }
  Result<std::string> fetch(const std::string& url, HttpGetOptions options = {}) {
    std::promise<Result<std::string>> promise;
    loop.post([&] {
      get = std::make_unique<HttpGet>(*transport, loop, *parse_url(url), nullptr, options,
                                      [&](Result<std::string> result) {
                                        get.reset();
                                        promise.set_value(std::move(result));
                                      });
    });
    return promise.get_future().get();
  }
};

TEST_F(HttpGetTest, SaysWhyThereIsNoAnswer) {
  std::string port;
  {
    std::promise<std::unique_ptr<io::Acceptor>> listening;
    loop.post([&] {
      listening.set_value(
          std::move(*transport->listen(loop, {"127.0.0.1", 0}, nullptr, [](auto) {})));
    });
    const auto acceptor = listening.get_future().get();
    port = std::to_string(acceptor->local().port);
    // Accepted, and dropped at once.
    EXPECT_FALSE(fetch("http://127.0.0.1:" + port + "/").ok());
  }
  const auto refused = fetch("http://127.0.0.1:" + port + "/");
  EXPECT_EQ(refused.code(), ErrorCode::kNetworkException);
}

TEST_F(HttpGetTest, GivesUpOnASilentServer) {
  std::vector<std::unique_ptr<io::Stream>> kept;
  std::promise<std::unique_ptr<io::Acceptor>> listening;
  loop.post([&] {
    listening.set_value(std::move(*transport->listen(
        loop, {"127.0.0.1", 0}, nullptr, [&](auto stream) { kept.push_back(std::move(stream)); })));
  });
  const auto acceptor = listening.get_future().get();
  HttpGetOptions options;
  options.timeout = 30ms;
  const auto late =
      fetch("http://127.0.0.1:" + std::to_string(acceptor->local().port) + "/", options);
  EXPECT_EQ(late.error().detail, "no answer within 30 ms");
  std::promise<void> dropped;
  loop.post([&] {
    kept.clear();
    dropped.set_value();
  });
  dropped.get_future().wait();
}

}  // namespace
}  // namespace broker::client
