#include "broker/io/posix/transport.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <mutex>

#include "broker/io/posix/certificates_for_tests.h"
#include "broker/io/posix/event_loop.h"
#include "broker/io/posix/posix_file.h"

namespace broker::io::posix {
namespace {

using namespace std::chrono_literals;

/// Collects what arrives; optionally sends it back.
struct Peer final : StreamHandler {
  EventLoop& loop;
  std::unique_ptr<Stream> stream;
  bool echo = false;
  std::function<void(Peer&)> when_open;

  std::mutex mutex;
  std::condition_variable changed;
  std::string received;
  bool opened = false;
  std::optional<Error> closed;
  std::optional<PeerCertificate> certificate;
  int drained = 0;
  std::array<std::uint8_t, 64 * 1024> buffer;

  explicit Peer(EventLoop& l) : loop(l) {}
  ~Peer() override {
    run([this] { stream.reset(); });
  }

  template <class F>
  void run(F f) {
    std::promise<void> done;
    loop.post([&] {
      f();
      done.set_value();
    });
    done.get_future().get();
  }
  void start(std::unique_ptr<Stream> s) {
    stream = std::move(s);
    stream->start(*this);
  }
  void write(std::string text) {
    run([&] { stream->write({Slice::copy_of(text)}); });
  }
  template <class Condition>
  bool wait(Condition condition) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, 10s, condition);
  }
  Error wait_closed() {
    EXPECT_TRUE(wait([this] { return closed.has_value(); }));
    return closed.value_or(Error{ErrorCode::kUnknownServerError, "still open"});
  }
  bool wait_open() {
    return wait([this] { return opened || closed; }) && opened;
  }
  bool wait_received(std::size_t n) {
    return wait([&] { return received.size() >= n; });
  }

  void on_open() override {
    const std::lock_guard lock(mutex);
    opened = true;
    certificate = stream->peer_certificate();
    if (when_open) when_open(*this);
    changed.notify_all();
  }
  std::span<std::uint8_t> read_buffer() override { return buffer; }
  void on_read(std::size_t n) override {
    const std::lock_guard lock(mutex);
    received.append(reinterpret_cast<const char*>(buffer.data()), n);
    if (echo) stream->write({Slice::copy_of(std::span<const std::uint8_t>(buffer.data(), n))});
    changed.notify_all();
  }
  void on_drained() override {
    const std::lock_guard lock(mutex);
    ++drained;
    changed.notify_all();
  }
  void on_closed(const Error& reason) override {
    const std::lock_guard lock(mutex);
    closed = reason;
    changed.notify_all();
  }
};

struct TransportTest : ::testing::Test {
  EventLoop server_loop{"server"}, client_loop{"client"};
  std::shared_ptr<AddressBook> addresses = std::make_shared<AddressBook>();
  std::unique_ptr<Transport> transport = make_posix_transport(
      {.connect_timeout = 2s, .handshake_timeout = 300ms, .addresses = addresses});
  std::unique_ptr<Acceptor> acceptor;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::unique_ptr<Peer>> accepted;
  bool echo = true;

  TransportTest() {
    server_loop.start();
    client_loop.start();
  }
  ~TransportTest() override {
    acceptor.reset();
    forget_accepted();
  }

  void listen(std::shared_ptr<TlsContext> tls = nullptr) {
    auto made = transport->listen(server_loop, {"127.0.0.1", 0}, std::move(tls),
                                  [this](std::unique_ptr<Stream> stream) {
                                    auto peer = std::make_unique<Peer>(server_loop);
                                    peer->echo = echo;
                                    peer->start(std::move(stream));
                                    const std::lock_guard lock(mutex);
                                    accepted.push_back(std::move(peer));
                                    changed.notify_all();
                                  });
    ASSERT_TRUE(made.ok()) << to_string(made.error());
    acceptor = std::move(*made);
  }
  Peer& server_peer() {
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, 10s, [this] { return !accepted.empty(); }));
    return *accepted.back();
  }
  /// Not under the mutex: a peer dies on its loop, which may be waiting for the mutex.
  void forget_accepted() {
    std::vector<std::unique_ptr<Peer>> old;
    {
      const std::lock_guard lock(mutex);
      old.swap(accepted);
    }
    old.clear();
  }
  std::unique_ptr<Peer> connect(std::shared_ptr<TlsContext> tls = nullptr,
                                std::string host = "127.0.0.1", std::string server_name = {}) {
    auto peer = std::make_unique<Peer>(client_loop);
    peer->run([&] {
      peer->start(transport->connect(client_loop, {host, acceptor->local().port}, std::move(tls),
                                     server_name));
    });
    return peer;
  }
};

TEST_F(TransportTest, CarriesBytesBothWaysAndTellsAnOrderlyEnd) {
  listen();
  auto client = connect(nullptr, "localhost");  // a name, resolved off the loop
  ASSERT_TRUE(client->wait_open());
  client->write("hello");
  ASSERT_TRUE(client->wait_received(5));
  EXPECT_EQ(client->received, "hello");
  EXPECT_EQ(server_peer().stream->peer().host, "127.0.0.1");
  client->run([&] { client->stream->close_after_flush(); });
  EXPECT_EQ(client->wait_closed().code, ErrorCode::kNone);
  EXPECT_EQ(server_peer().wait_closed().code, ErrorCode::kNone);
}

TEST_F(TransportTest, GoesWhereAHostIsByItsOwnWordUntilNobodyAnswersThere) {
  listen();
  addresses->set("no-such-host.invalid", "127.0.0.1");
  auto known = connect(nullptr, "no-such-host.invalid");
  EXPECT_TRUE(known->wait_open());
  // Nobody listens there any more, but the name server knows better.
  addresses->set("localhost", "127.0.0.77");
  auto moved = connect(nullptr, "localhost");
  EXPECT_TRUE(moved->wait_open());
  EXPECT_EQ(addresses->find("localhost"), "");
  addresses->set("no-such-host.invalid", "127.0.0.77");
  auto nowhere = connect(nullptr, "no-such-host.invalid");
  EXPECT_NE(nowhere->wait_closed().detail.find("cannot resolve"), std::string::npos);
}

TEST_F(TransportTest, TellsWhyAConnectFailed) {
  listen();
  const auto port = acceptor->local().port;
  const auto taken = transport->listen(server_loop, {"127.0.0.1", port}, nullptr, nullptr);
  EXPECT_EQ(taken.code(), ErrorCode::kBrokerNotAvailable);
  EXPECT_NE(taken.error().detail.find("in use"), std::string::npos) << taken.error().detail;
  acceptor.reset();
  server_loop.post([] {});
  Peer refused(client_loop);
  std::promise<void> closed_port;
  server_loop.post([&] { closed_port.set_value(); });
  closed_port.get_future().get();
  refused.run([&] {
    refused.start(transport->connect(client_loop, {"127.0.0.1", port}, nullptr));
  });
  EXPECT_NE(refused.wait_closed().detail.find("Connection refused"), std::string::npos);
  Peer unknown(client_loop);
  unknown.run([&] {
    unknown.start(transport->connect(client_loop, {"no-such-host.invalid", port}, nullptr));
  });
  EXPECT_NE(unknown.wait_closed().detail.find("no-such-host.invalid"), std::string::npos);
}

TEST_F(TransportTest, AReaderThatPausesIsNotFedAndTheWriterIsToldWhenItDrains) {
  echo = false;
  listen();
  auto client = connect();
  ASSERT_TRUE(client->wait_open());
  Peer& server = server_peer();
  server.run([&] { server.stream->pause_reading(); });
  constexpr std::size_t kSize = 32 << 20;
  client->write(std::string(kSize, 'x'));
  std::size_t unsent = 0;
  client->run([&] { unsent = client->stream->unsent_bytes(); });
  EXPECT_GT(unsent, 0u);
  EXPECT_TRUE(server.received.empty());
  server.run([&] { server.stream->resume_reading(); });
  ASSERT_TRUE(server.wait_received(kSize));
  ASSERT_TRUE(client->wait([&] { return client->drained == 1; }));
}

TEST_F(TransportTest, CloseAfterFlushDeliversEverything) {
  echo = false;
  listen();
  auto client = connect();
  ASSERT_TRUE(client->wait_open());
  constexpr std::size_t kSize = 8 << 20;
  client->run([&] {
    client->stream->write({Slice::copy_of(std::string(kSize, 'y'))});
    client->stream->close_after_flush();
  });
  EXPECT_EQ(server_peer().wait_closed().code, ErrorCode::kNone);
  EXPECT_EQ(server_peer().received.size(), kSize);
}

class FileSource final : public ByteSource {
 public:
  FileSource(std::shared_ptr<const File> file, bool with_descriptor)
      : file_(std::move(file)), with_descriptor_(with_descriptor) {}
  int descriptor() const override { return with_descriptor_ ? file_->descriptor() : -1; }
  bool read_exactly(std::uint64_t position, std::span<std::uint8_t> out) const override {
    const auto n = file_->read_at(position, out);
    return n.ok() && *n == out.size();
  }

 private:
  const std::shared_ptr<const File> file_;
  const bool with_descriptor_;
};

/// Memory, a part of a file, memory: as a Fetch response is made.
struct FileBetween {
  std::shared_ptr<File> file;
  std::string content;
  explicit FileBetween(const std::string& path) : content(5 << 20, ' ') {
    for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 31 >> 5);
    file = *make_posix_file_system()->open(path, OpenMode::kCreate);
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(content.data());
    EXPECT_TRUE(file->write_at(0, std::span(bytes, content.size())).ok());
  }
  Slices pieces(bool with_descriptor = true) const {
    const auto source = std::make_shared<FileSource>(file, with_descriptor);
    return {Slice::copy_of("head"), Slice::stored(source, 1000, content.size() - 1000),
            Slice::copy_of("between"), Slice::stored(source, 7, 40'000), Slice::copy_of("tail")};
  }
  std::string expected() const {
    return "head" + content.substr(1000) + "between" + content.substr(7, 40'000) + "tail";
  }
};

TEST_F(TransportTest, SendsOutOfAFileBetweenBytesInMemory) {
  echo = false;
  TemporaryDirectory directory;
  const FileBetween source(directory.file("records"));
  listen();
  auto client = connect();
  ASSERT_TRUE(client->wait_open());
  client->run([&] { client->stream->write(source.pieces()); });
  ASSERT_TRUE(server_peer().wait_received(source.expected().size()));
  EXPECT_TRUE(server_peer().received == source.expected());
}

TEST_F(TransportTest, CopiesOutOfAFileThatTheSystemCannotSendFrom) {
  echo = false;
  TemporaryDirectory directory;
  const FileBetween source(directory.file("records"));
  listen();
  auto client = connect();
  ASSERT_TRUE(client->wait_open());
  client->run([&] { client->stream->write(source.pieces(false)); });
  ASSERT_TRUE(server_peer().wait_received(source.expected().size()));
  EXPECT_TRUE(server_peer().received == source.expected());
}

TEST_F(TransportTest, AFileThatBecameShorterClosesTheConnection) {
  echo = false;
  TemporaryDirectory directory;
  const FileBetween source(directory.file("records"));
  ASSERT_TRUE(source.file->truncate(50'000).ok());
  listen();
  auto client = connect();
  ASSERT_TRUE(client->wait_open());
  client->run([&] { client->stream->write(source.pieces()); });
  EXPECT_NE(client->wait_closed().detail.find("no longer be read"), std::string::npos);
}

TEST_F(TransportTest, AStreamMayDieInsideItsOwnCallback) {
  listen();
  auto client = connect();
  ASSERT_TRUE(client->wait_open());
  client->when_open = nullptr;
  Peer doomed(client_loop);
  doomed.when_open = [](Peer& peer) { peer.stream.reset(); };
  doomed.run([&] {
    doomed.start(transport->connect(client_loop, {"127.0.0.1", acceptor->local().port}, nullptr));
  });
  EXPECT_TRUE(doomed.wait_open());
  client->write("still here");
  EXPECT_TRUE(client->wait_received(10));
}

struct TlsTest : TransportTest {
  TemporaryDirectory files;
  TestCa cluster_ca{"cluster CA"}, other_ca{"other CA"};

  TlsTest() {
    write_text(files.file("ca.crt"), cluster_ca.pem());
    write_text(files.file("other-ca.crt"), other_ca.pem());
    write_pair(files, "server", cluster_ca.issue("server"));
    write_pair(files, "client", cluster_ca.issue("client", {.organization = "millrace"}));
    write_pair(files, "stranger", other_ca.issue("stranger"));
    write_pair(files, "expired", cluster_ca.issue("expired", {.valid_seconds = -60}));
  }
  TlsServerOptions server_options(ClientAuth client_auth = ClientAuth::kNone) {
    return {.certificate_chain_path = files.file("server.crt"),
            .private_key_path = files.file("server.key"),
            .client_ca_path = files.file("ca.crt"),
            .client_auth = client_auth};
  }
  std::shared_ptr<TlsContext> server_tls(ClientAuth client_auth = ClientAuth::kNone) {
    return *transport->make_server_tls(server_options(client_auth));
  }
  std::shared_ptr<TlsContext> client_tls(const std::string& identity = {},
                                         const std::string& ca = "ca.crt") {
    TlsClientOptions options{.ca_path = files.file(ca)};
    if (!identity.empty()) {
      options.certificate_chain_path = files.file(identity + ".crt");
      options.private_key_path = files.file(identity + ".key");
    }
    auto made = transport->make_client_tls(options);
    EXPECT_TRUE(made.ok()) << to_string(made.error());
    return *made;
  }
};

TEST_F(TlsTest, CarriesLargeAndSmallWrites) {
  listen(server_tls());
  auto client = connect(client_tls());
  ASSERT_TRUE(client->wait_open()) << client->closed->detail;
  std::string sent;
  client->run([&] {
    for (int i = 0; i < 300; ++i) {
      const std::string small(static_cast<std::size_t>(i % 50 + 1),
                              static_cast<char>('a' + i % 26));
      const std::string large(static_cast<std::size_t>(i % 7 == 0 ? 100'000 : 10), '-');
      sent += small + large;
      client->stream->write({Slice::copy_of(small), Slice::copy_of(large)});
    }
  });
  ASSERT_TRUE(client->wait_received(sent.size()));
  EXPECT_EQ(client->received, sent);
  EXPECT_FALSE(server_peer().certificate.has_value());
}

TEST_F(TlsTest, EncryptsOutOfAFileBetweenBytesInMemory) {
  echo = false;
  const FileBetween source(files.file("records"));
  listen(server_tls());
  auto client = connect(client_tls());
  ASSERT_TRUE(client->wait_open()) << client->closed->detail;
  client->run([&] { client->stream->write(source.pieces()); });
  ASSERT_TRUE(server_peer().wait_received(source.expected().size()));
  EXPECT_TRUE(server_peer().received == source.expected());
}

TEST_F(TlsTest, ATlsReaderThatPausesLosesNothing) {
  echo = false;
  listen(server_tls());
  auto client = connect(client_tls());
  ASSERT_TRUE(client->wait_open());
  Peer& server = server_peer();
  ASSERT_TRUE(server.wait_open());
  server.run([&] { server.stream->pause_reading(); });
  constexpr std::size_t kSize = 16 << 20;
  client->write(std::string(kSize, 'x'));
  server.run([&] { server.stream->resume_reading(); });
  EXPECT_TRUE(server.wait_received(kSize));
}

TEST_F(TlsTest, ShowsTheClientsSubjectInRfc2253Form) {
  listen(server_tls(ClientAuth::kRequired));
  auto client = connect(client_tls("client"));
  ASSERT_TRUE(client->wait_open());
  ASSERT_TRUE(server_peer().wait_open());
  EXPECT_EQ(server_peer().certificate->subject, "CN=client,O=millrace");
  EXPECT_EQ(server_peer().certificate->fingerprint_sha256.size(), 64u);
  EXPECT_EQ(client->certificate->subject, "CN=server,O=test");
}

TEST_F(TlsTest, SaysWhyAClientWasRefused) {
  listen(server_tls(ClientAuth::kRequired));
  const auto server_reason = [&](std::shared_ptr<TlsContext> tls) {
    forget_accepted();
    auto client = connect(std::move(tls));
    client->wait_closed();
    return server_peer().wait_closed().detail;
  };
  EXPECT_NE(server_reason(client_tls()).find("no client certificate"), std::string::npos);
  EXPECT_NE(server_reason(client_tls("stranger")).find("unknown CA"), std::string::npos);
  const auto distrust = server_reason(client_tls("client", "other-ca.crt"));
  EXPECT_NE(distrust.find("does not trust our certificate"), std::string::npos) << distrust;

  forget_accepted();
  auto plaintext = connect();
  ASSERT_TRUE(plaintext->wait_open());
  plaintext->write(std::string("\0\0\0\x10 a request", 14));
  EXPECT_NE(server_peer().wait_closed().detail.find("peer sent plaintext on a TLS port"),
            std::string::npos);
}

TEST_F(TlsTest, AClientSaysWhyItDoesNotTrustTheServer) {
  listen(server_tls());
  auto wrong_ca = connect(client_tls("", "other-ca.crt"));
  EXPECT_NE(wrong_ca->wait_closed().detail.find("unknown CA"), std::string::npos);
  auto wrong_name = connect(client_tls(), "127.0.0.1", "orders.example");
  EXPECT_NE(wrong_name->wait_closed().detail.find("does not name this host"), std::string::npos);
  acceptor.reset();
  listen();  // speaks plaintext and echoes our hello
  auto plaintext = connect(client_tls());
  plaintext->wait_closed();
}

TEST_F(TlsTest, AnIdleHandshakeTimesOut) {
  listen(server_tls());
  auto silent = connect();
  ASSERT_TRUE(silent->wait_open());
  EXPECT_NE(server_peer().wait_closed().detail.find("not finished in time"), std::string::npos);
}

TEST_F(TlsTest, ReloadServesTheNewCertificateAndKeepsTheOldOnAnyError) {
  auto tls = server_tls();
  listen(tls);
  EXPECT_EQ(*tls->reload_if_changed(), false);
  const auto served = [&] {
    auto client = connect(client_tls());
    EXPECT_TRUE(client->wait_open());
    return client->certificate ? client->certificate->subject : "";
  };
  EXPECT_EQ(served(), "CN=server,O=test");

  const PemPair renewed = cluster_ca.issue("renewed");
  write_text(files.file("server.crt"), renewed.certificate);  // the key is still the old one
  auto mismatch = tls->reload_if_changed();
  EXPECT_EQ(mismatch.code(), ErrorCode::kInvalidConfig);
  EXPECT_NE(mismatch.error().detail.find("does not fit"), std::string::npos);
  EXPECT_EQ(served(), "CN=server,O=test");
  EXPECT_EQ(*tls->reload_if_changed(), false) << "an error is told once per change";

  write_text(files.file("server.key"), renewed.key);
  EXPECT_EQ(*tls->reload_if_changed(), true);
  EXPECT_EQ(served(), "CN=renewed,O=test");

  write_pair(files, "server", cluster_ca.issue("late", {.valid_seconds = -60}));
  EXPECT_NE(tls->reload_if_changed().error().detail.find("expired"), std::string::npos);
  write_text(files.file("server.crt"), "nonsense");
  EXPECT_FALSE(tls->reload_if_changed().ok());
  EXPECT_EQ(served(), "CN=renewed,O=test");
}

TEST_F(TlsTest, ReloadOfTheClientCaAppliesToNewConnections) {
  auto tls = server_tls(ClientAuth::kRequired);
  listen(tls);
  auto old_client = connect(client_tls("client"));
  ASSERT_TRUE(old_client->wait_open());
  old_client->write("x");
  ASSERT_TRUE(old_client->wait_received(1));
  write_text(files.file("ca.crt.new"), other_ca.pem());
  std::filesystem::rename(files.file("ca.crt.new"), files.file("ca.crt"));
  EXPECT_EQ(*tls->reload_if_changed(), true);
  old_client->write("y");
  EXPECT_TRUE(old_client->wait_received(2)) << "open connections go on";
  write_text(files.file("ca.crt.client"), cluster_ca.pem());
  auto refused = connect(client_tls("client", "ca.crt.client"));
  EXPECT_NE(refused->wait_closed().detail.find("does not trust our certificate"),
            std::string::npos);
}

TEST_F(TlsTest, RefusesUnusableMaterialAtTheStart) {
  auto options = server_options();
  options.certificate_chain_path = files.file("expired.crt");
  options.private_key_path = files.file("expired.key");
  EXPECT_NE(transport->make_server_tls(options).error().detail.find("expired"), std::string::npos);
  options = server_options();
  options.private_key_path = files.file("missing.key");
  EXPECT_NE(transport->make_server_tls(options).error().detail.find("missing.key"),
            std::string::npos);
  options = server_options();
  options.protocols = {"TLSv1.1"};
  EXPECT_FALSE(transport->make_server_tls(options).ok());
}

}  // namespace
}  // namespace broker::io::posix
