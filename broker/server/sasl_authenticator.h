#pragma once

#include <memory>
#include <string>
#include <vector>

#include "broker/protocol/frame.h"
#include "broker/security/sasl.h"

namespace broker::server {

/// The server's SASL steps on one connection (AK SaslServerAuthenticator): SaslHandshake, then
/// tokens in SaslAuthenticate (handshake v1) or as bare frames (v0). Pure: frames in, frames and a
/// verdict out. There is no re-authentication: a second handshake is an illegal state.
class SaslAuthenticator {
 public:
  enum class Verdict {
    kContinue,
    kAuthenticated,
    kRefused,  // answer at once, then close
    kFailed,   // wrong credentials: answer late, then close
  };
  struct Outcome {
    Verdict verdict = Verdict::kContinue;
    Slices answer;       // may be empty
    std::string reason;  // kRefused, kFailed: for the log
  };

  SaslAuthenticator(std::vector<std::string> mechanisms,
                    const security::CredentialStore& credentials)
      : mechanisms_(std::move(mechanisms)), credentials_(credentials) {}

  /// Whether the next frame is a bare token without a header.
  bool expects_bare_token() const { return state_ == State::kBareTokens; }
  /// ApiVersions may come only before the handshake.
  bool may_ask_versions() const { return state_ == State::kHandshake; }

  /// `header` is SaslHandshake or SaslAuthenticate in a supported version.
  Outcome on_request(const protocol::RequestHeader& header, const Slice& body);
  Outcome on_bare_token(const Slice& token);

  const std::string& user() const { return exchange_->user(); }
  const std::string& mechanism() const { return mechanism_; }

 private:
  enum class State { kHandshake, kBareTokens, kTokens, kEnded };

  Outcome on_handshake(const protocol::RequestHeader& header, const Slice& body);
  Outcome on_authenticate(const protocol::RequestHeader& header, const Slice& body);

  const std::vector<std::string> mechanisms_;
  const security::CredentialStore& credentials_;
  State state_ = State::kHandshake;
  std::string mechanism_;
  std::unique_ptr<security::SaslServer> exchange_;
};

/// The answer to SaslHandshake or SaslAuthenticate where no authentication is under way.
Result<Slices> illegal_sasl_state(const protocol::RequestHeader& header,
                                  const std::string& message);

}  // namespace broker::server
