#pragma once

#include <chrono>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "broker/client/http_get.h"
#include "broker/config/listeners.h"
#include "broker/io/published.h"
#include "broker/io/strand.h"
#include "broker/io/transport.h"
#include "broker/security/jwt.h"
#include "broker/security/sasl.h"

namespace broker::node {

/// The OAuth tokens of one listener: validated on any strand, by keys that are fetched on the main
/// one. Until the first keys are there every token is refused; a broker does not depend on its
/// issuer to start. A file is read again when it has changed, a URL every
/// `sasl.oauthbearer.jwks.endpoint.refresh.ms`, sooner when a token names an unknown key, and after
/// a failure with a growing pause. Keys stay in force until others have come.
class BearerTokens final : public security::BearerValidator,
                           public std::enable_shared_from_this<BearerTokens> {
 public:
  /// What it runs on; outlives it.
  struct Ports {
    io::Strand& main;
    io::Transport& transport;
    io::WorkerPool& workers;
  };
  BearerTokens(Ports ports, std::string listener, config::OAuthSettings settings);

  /// On the main strand. Errors: kInvalidConfig: a URL or trusted CAs that cannot be used.
  Result<void> start();
  void stop();

  Result<security::Bearer> validate(std::string_view token) const override;

 private:
  /// Tokens name keys as they like: of each unknown id one look a minute, of few ids.
  class UnknownKeys {
   public:
    bool may_look_for(const std::string& id, Instant now);

   private:
    struct Look {
      std::string id;
      Instant again;
    };
    std::list<Look> looks_;  // the newest first
  };

  void fetch();
  void read_file();
  void get_url();
  void on_keys(const Result<std::string>& text);
  void fetch_after(std::chrono::milliseconds pause);
  void on_unknown_key(const std::string& id);

  const Ports ports_;
  const std::string listener_;
  const config::OAuthSettings settings_;
  const security::JwtRules rules_;
  io::Published<security::Jwks> keys_;
  // On the main strand.
  std::optional<client::Url> url_;  // none: a file
  std::shared_ptr<io::TlsContext> tls_;
  std::unique_ptr<client::HttpGet> get_;
  bool fetching_ = false;
  bool stopped_ = false;
  std::string text_;                    // that the keys are of
  std::chrono::milliseconds pause_{0};  // after a failure
  io::TimerId timer_ = io::kNoTimer;
  UnknownKeys unknown_;
};

}  // namespace broker::node
