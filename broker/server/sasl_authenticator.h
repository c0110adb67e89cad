#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "broker/protocol/frame.h"
#include "broker/security/sasl.h"
#include "broker/security/types.h"
#include "broker/server/sasl_options.h"

namespace broker::server {

/// The server's SASL steps of one authentication (AK SaslServerAuthenticator): SaslHandshake, then
/// tokens in SaslAuthenticate (handshake v1) or as bare frames (v0). Pure: frames and the time in,
/// frames and a verdict out. A connection that re-authenticates (KIP-368) gets another one.
class SaslAuthenticator {
 public:
  /// What a re-authentication must not change.
  struct Established {
    std::string mechanism;
    security::Principal principal;
  };
  enum class Verdict {
    kContinue,
    kAuthenticated,
    kRefused,  // answer at once, then close
    kFailed,   // wrong credentials: answer late, then close
  };
  struct Outcome {
    Verdict verdict = Verdict::kContinue;
    Slices answer;  // may be empty
    /// kAuthenticated: how long the session may be used; nullopt for ever.
    std::optional<std::chrono::milliseconds> session_lifetime;
    std::string reason;  // kRefused, kFailed: for the log
  };

  /// `options` and `credentials` outlive this object.
  SaslAuthenticator(const SaslOptions& options, const security::CredentialStore& credentials,
                    std::optional<Established> established = std::nullopt)
      : options_(options), credentials_(credentials), established_(std::move(established)) {}

  /// Whether the next frame is a bare token without a header.
  bool expects_bare_token() const { return state_ == State::kBareTokens; }
  /// ApiVersions may come only before the handshake.
  bool may_ask_versions() const { return state_ == State::kHandshake; }

  /// `header` is SaslHandshake or SaslAuthenticate in a supported version.
  Outcome on_request(const protocol::RequestHeader& header, const Slice& body, WallMs now);
  Outcome on_bare_token(const Slice& token, WallMs now);

  bool is_reauthentication() const { return established_.has_value(); }
  /// "" before the first token; proven once authenticated.
  std::string user() const { return exchange_ == nullptr ? std::string() : exchange_->user(); }
  const std::string& mechanism() const { return mechanism_; }
  bool is_by_token() const { return exchange_ != nullptr && exchange_->is_by_token(); }

 private:
  enum class State { kHandshake, kBareTokens, kTokens, kOtherMechanism, kEnded };

  Outcome on_handshake(const protocol::RequestHeader& header, const Slice& body);
  Outcome on_authenticate(const protocol::RequestHeader& header, const Slice& body, WallMs now);
  Result<security::SaslStep> step(std::span<const std::uint8_t> token);
  std::optional<std::chrono::milliseconds> session_lifetime(WallMs now) const;
  std::string other_mechanism() const;

  const SaslOptions& options_;
  const security::CredentialStore& credentials_;
  const std::optional<Established> established_;
  State state_ = State::kHandshake;
  std::string mechanism_;
  std::unique_ptr<security::SaslServer> exchange_;
};

/// The answer to SaslHandshake or SaslAuthenticate where no authentication is under way.
Result<Slices> illegal_sasl_state(const protocol::RequestHeader& header,
                                  const std::string& message);

}  // namespace broker::server
