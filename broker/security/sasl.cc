#include "broker/security/sasl.h"

#include "broker/common/base64.h"

namespace broker::security {
namespace {

constexpr std::size_t kNonceBytes = 18;

std::string make_nonce() { return base64_encode(random_bytes(kNonceBytes)); }

Error plain_failure(const char* why) {
  return Error{ErrorCode::kSaslAuthenticationFailed, std::string("Authentication failed: ") + why};
}

/// RFC 4616: authzid NUL authcid NUL password.
class PlainServer final : public SaslServer {
 public:
  explicit PlainServer(const CredentialStore& credentials) : credentials_(credentials) {}

  Result<SaslStep> step(std::span<const std::uint8_t> token) override {
    const std::string_view text(reinterpret_cast<const char*>(token.data()), token.size());
    const std::size_t first = text.find('\0');
    const std::size_t second = first == text.npos ? text.npos : text.find('\0', first + 1);
    if (second == text.npos || text.find('\0', second + 1) != text.npos || done_)
      return Error{ErrorCode::kSaslAuthenticationFailed, "Malformed SASL/PLAIN message"};
    done_ = true;
    const std::string_view authorization_id = text.substr(0, first);
    const std::string_view user = text.substr(first + 1, second - first - 1);
    const std::string_view password = text.substr(second + 1);
    user_ = user;
    if (user.empty()) return plain_failure("username not specified");
    if (password.empty()) return plain_failure("password not specified");
    if (!authorization_id.empty() && authorization_id != user)
      return plain_failure("Client requested an authorization id that is different from username");
    const auto expected = credentials_.plain_password(user);
    // Compare in any case, so that an unknown user takes as long as a wrong password.
    const Bytes given = bytes_of(password);
    const Bytes wanted = expected ? bytes_of(*expected) : Bytes(given.size(), 0);
    const bool equal = equal_in_constant_time(given, wanted);
    if (!expected || !equal) return plain_failure("Invalid username or password");
    return SaslStep{{}, true};
  }
  const std::string& user() const override { return user_; }

 private:
  const CredentialStore& credentials_;
  bool done_ = false;
  std::string user_;
};

class PlainClient final : public SaslClient {
 public:
  PlainClient(std::string user, std::string password)
      : user_(std::move(user)), password_(std::move(password)) {}

  Result<SaslStep> step(std::span<const std::uint8_t>) override {
    if (sent_) return SaslStep{{}, true};
    sent_ = true;
    std::string message;
    message += '\0';
    message += user_;
    message += '\0';
    message += password_;
    return SaslStep{bytes_of(message), true};
  }

 private:
  const std::string user_;
  const std::string password_;
  bool sent_ = false;
};

}  // namespace

const std::vector<std::string>& supported_sasl_mechanisms() {
  static const std::vector<std::string> kNames{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512",
                                               "OAUTHBEARER"};
  return kNames;
}

Result<std::unique_ptr<SaslServer>> make_sasl_server(std::string_view mechanism,
                                                     const CredentialStore& credentials,
                                                     const BearerValidator* bearers) {
  if (mechanism == "OAUTHBEARER" && bearers != nullptr) return make_oauth_server(*bearers);
  if (mechanism == "PLAIN")
    return std::unique_ptr<SaslServer>(std::make_unique<PlainServer>(credentials));
  const ScramMechanism scram = parse_scram_mechanism(mechanism);
  if (scram != ScramMechanism::kUnknown) return make_scram_server(scram, credentials, make_nonce());
  return Error{ErrorCode::kUnsupportedSaslMechanism,
               "SASL mechanism " + std::string(mechanism) + " is not supported"};
}

Result<std::unique_ptr<SaslClient>> make_sasl_client(std::string_view mechanism, std::string user,
                                                     std::string password) {
  if (mechanism == "PLAIN")
    return std::unique_ptr<SaslClient>(
        std::make_unique<PlainClient>(std::move(user), std::move(password)));
  const ScramMechanism scram = parse_scram_mechanism(mechanism);
  if (scram != ScramMechanism::kUnknown)
    return make_scram_client(scram, std::move(user), std::move(password), make_nonce());
  return Error{ErrorCode::kUnsupportedSaslMechanism,
               "SASL mechanism " + std::string(mechanism) + " is not supported"};
}

}  // namespace broker::security
