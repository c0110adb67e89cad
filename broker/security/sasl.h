#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/common/result.h"
#include "broker/common/time.h"
#include "broker/security/scram.h"

namespace broker::security {

/// Where servers look users up. Called on any strand: implementations hand out values from an
/// immutable snapshot.
class CredentialStore {
 public:
  virtual ~CredentialStore() = default;
  virtual std::optional<ScramCredential> scram(ScramMechanism mechanism,
                                               std::string_view user) const = 0;
  virtual std::optional<std::string> plain_password(std::string_view user) const = 0;

  /// A delegation token as SCRAM's users prove that they have it.
  struct Token {
    std::string owner;
    WallMs expires = 0;
    ScramCredential credential;
  };
  virtual std::optional<Token> token(ScramMechanism /*mechanism*/,
                                     std::string_view /*token_id*/) const {
    return std::nullopt;
  }
};

/// Whom an OAuth token proves, and until when.
struct Bearer {
  std::string user;
  WallMs expires = 0;
};

/// Judges the OAuth tokens of a listener. Any strand.
class BearerValidator {
 public:
  virtual ~BearerValidator() = default;
  /// Errors: kSaslAuthenticationFailed, with a reason that is not for the client.
  virtual Result<Bearer> validate(std::string_view token) const = 0;
};

/// One step of an exchange: the token for the other side (may be empty), and whether it is over.
struct SaslStep {
  Bytes token;
  bool complete = false;
};

/// The server's end of one authentication: pure, no clock, no socket.
class SaslServer {
 public:
  virtual ~SaslServer() = default;
  /// Errors: kSaslAuthenticationFailed; the detail is safe to show the client and says nothing
  /// about which part was wrong; it is empty where nothing more is to be said than that. After an
  /// error the exchange is dead.
  virtual Result<SaslStep> step(std::span<const std::uint8_t> token) = 0;
  /// The user's name: claimed as soon as the client has sent it (for the log), proven after
  /// `complete`. Of a delegation token: its id, and its owner after `complete`.
  virtual const std::string& user() const = 0;
  /// When what was proven ends by itself, e.g. with a token. After `complete`.
  virtual std::optional<WallMs> expires() const { return std::nullopt; }
  /// Whether a delegation token was the proof. After `complete`.
  virtual bool is_by_token() const { return false; }
};

/// The client's end. The first call gets an empty token.
class SaslClient {
 public:
  virtual ~SaslClient() = default;
  /// Errors: kSaslAuthenticationFailed when the server's answer is wrong or does not prove that it
  /// knows the password.
  virtual Result<SaslStep> step(std::span<const std::uint8_t> token) = 0;
};

/// The mechanisms that a server may offer: "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512",
/// "OAUTHBEARER".
const std::vector<std::string>& supported_sasl_mechanisms();

/// `credentials` and `bearers` must outlive the exchange. Errors: kUnsupportedSaslMechanism, also
/// for OAUTHBEARER without `bearers`.
Result<std::unique_ptr<SaslServer>> make_sasl_server(std::string_view mechanism,
                                                     const CredentialStore& credentials,
                                                     const BearerValidator* bearers = nullptr);
std::unique_ptr<SaslServer> make_oauth_server(const BearerValidator& validator);
/// SCRAM's second step computes PBKDF2 (a few ms). Errors: kUnsupportedSaslMechanism.
/// `make_scram_client` with `by_token` proves a delegation token: its id, its HMAC in base64.
Result<std::unique_ptr<SaslClient>> make_sasl_client(std::string_view mechanism, std::string user,
                                                     std::string password);

/// SCRAM ends with a chosen nonce, for the RFCs' test vectors.
std::unique_ptr<SaslServer> make_scram_server(ScramMechanism mechanism,
                                              const CredentialStore& credentials,
                                              std::string server_nonce);
std::unique_ptr<SaslClient> make_scram_client(ScramMechanism mechanism, std::string user,
                                              std::string password, std::string client_nonce,
                                              bool by_token = false);

}  // namespace broker::security
