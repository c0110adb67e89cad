// The two ends of RFC 5802 without channel binding ("n,,"):
//   client-first  n,,n=<user>,r=<client nonce>[,extensions]
//   server-first  r=<client nonce><server nonce>,s=<salt, base64>,i=<iterations>
//   client-final  c=biws,r=<nonce>,p=<proof, base64>
//   server-final  v=<server signature, base64>   or   e=<error>
#include <charconv>
#include <map>

#include "broker/common/base64.h"
#include "broker/security/sasl.h"
#include "broker/security/scram_math.h"

namespace broker::security {
namespace {

// A server may not make us compute for minutes.
constexpr std::int32_t kClientMaxIterations = 65'536;
constexpr std::string_view kChannelBinding = "c=biws";  // base64 of "n,,"

std::string_view text_of(std::span<const std::uint8_t> token) {
  return {reinterpret_cast<const char*>(token.data()), token.size()};
}

Error failed(std::string detail) {
  return Error{ErrorCode::kSaslAuthenticationFailed, std::move(detail)};
}

/// "k=v,k=v" with one-letter keys, in the order they stand. Errors: anything else.
using Attributes = std::vector<std::pair<char, std::string_view>>;

Result<Attributes> parse_attributes(std::string_view text) {
  Attributes attributes;
  while (true) {
    const std::size_t end = std::min(text.find(','), text.size());
    const std::string_view one = text.substr(0, end);
    const std::size_t equals = one.find('=');
    if (equals == std::string_view::npos || equals == 0)
      return failed("Invalid SCRAM message format");
    // Extensions have longer names.
    attributes.emplace_back(equals == 1 ? one[0] : '\0', one.substr(equals + 1));
    if (end == text.size()) return attributes;
    text.remove_prefix(end + 1);
  }
}

bool has_keys(const Attributes& attributes, std::string_view keys) {
  if (attributes.size() < keys.size()) return false;
  for (std::size_t i = 0; i < keys.size(); ++i)
    if (attributes[i].first != keys[i]) return false;
  return true;
}

/// Kafka's only extension (KIP-48): the user is the id of a delegation token.
bool asks_for_token(std::string_view first_bare) {
  return (std::string(first_bare) + ",").find(",tokenauth=true,") != std::string::npos;
}

/// A credential that no password fits. The salt depends on the user only, so that asking twice does
/// not tell that the user does not exist.
ScramCredential decoy_credential(ScramMechanism mechanism, std::string_view user) {
  static const Bytes kSecret = random_bytes(32);
  ScramCredential credential;
  credential.salt = scram::hmac(mechanism, kSecret, user);
  credential.salt.resize(20);
  credential.stored_key = random_bytes(scram::hash(mechanism, kSecret).size());
  credential.server_key = credential.stored_key;
  credential.iterations = kScramMinIterations;
  return credential;
}

class ScramServer final : public SaslServer {
 public:
  ScramServer(ScramMechanism mechanism, const CredentialStore& credentials, std::string nonce)
      : mechanism_(mechanism), credentials_(credentials), server_nonce_(std::move(nonce)) {}

  Result<SaslStep> step(std::span<const std::uint8_t> token) override {
    const State state = std::exchange(state_, State::kFailed);
    auto next = state == State::kFirst   ? on_client_first(text_of(token))
                : state == State::kFinal ? on_client_final(text_of(token))
                                         : Result<SaslStep>(failed("Unexpected SCRAM message"));
    if (next.ok()) state_ = state == State::kFirst ? State::kFinal : State::kDone;
    if (state_ == State::kDone && token_) user_ = token_->owner;
    return next;
  }
  const std::string& user() const override { return user_; }
  std::optional<WallMs> expires() const override {
    return token_ ? std::optional(token_->expires) : std::nullopt;
  }
  bool is_by_token() const override { return token_.has_value(); }

 private:
  enum class State { kFirst, kFinal, kDone, kFailed };

  Result<SaslStep> on_client_first(std::string_view message) {
    if (!message.starts_with("n,"))
      return failed("SCRAM channel binding is not supported: the message must start with \"n,\"");
    const std::size_t comma = message.find(',', 2);
    if (comma == message.npos) return failed("Invalid SCRAM message format");
    std::string_view authorization_id = message.substr(2, comma - 2);
    client_first_bare_ = message.substr(comma + 1);
    ASSIGN_OR_RETURN(const Attributes attributes, parse_attributes(client_first_bare_));
    if (!has_keys(attributes, "nr") || attributes[1].second.empty())
      return failed("Invalid SCRAM message format");
    ASSIGN_OR_RETURN(user_, scram_unescape_name(attributes[0].second));
    if (!authorization_id.empty()) {
      if (!authorization_id.starts_with("a=")) return failed("Invalid SCRAM message format");
      ASSIGN_OR_RETURN(const std::string other, scram_unescape_name(authorization_id.substr(2)));
      if (other != user_)
        return failed(
            "Authentication failed: Client requested an authorization id that is different from "
            "username");
    }
    std::optional<ScramCredential> found;
    if (!asks_for_token(client_first_bare_))
      found = credentials_.scram(mechanism_, user_);
    else if ((token_ = credentials_.token(mechanism_, user_)))
      found = token_->credential;
    known_ = found.has_value() && found->iterations >= kScramMinIterations;
    credential_ = known_ ? std::move(*found) : decoy_credential(mechanism_, user_);
    nonce_ = std::string(attributes[1].second) + server_nonce_;
    server_first_ = "r=" + nonce_ + ",s=" + base64_encode(credential_.salt) +
                    ",i=" + std::to_string(credential_.iterations);
    return SaslStep{bytes_of(server_first_), false};
  }

  Result<SaslStep> on_client_final(std::string_view message) {
    const std::size_t proof_at = message.rfind(",p=");
    if (proof_at == message.npos) return failed("Invalid SCRAM message format");
    const std::string_view without_proof = message.substr(0, proof_at);
    ASSIGN_OR_RETURN(const Attributes attributes, parse_attributes(without_proof));
    // librdkafka repeats its own part in front of the whole nonce; Kafka takes that, so we must.
    // The proof covers the message as it was sent, so nothing is lost by it.
    if (!has_keys(attributes, "cr") || !attributes[1].second.ends_with(nonce_))
      return failed("Invalid client nonce in the final client message");
    auto proof = base64_decode(message.substr(proof_at + 3));
    if (!proof) return failed("Invalid SCRAM message format");

    const std::string auth_message =
        client_first_bare_ + "," + server_first_ + "," + std::string(without_proof);
    const Bytes signature = scram::hmac(mechanism_, credential_.stored_key, auth_message);
    if (proof->size() != signature.size()) return refused();
    const Bytes client_key = scram::exclusive_or(*proof, signature);
    const bool equal =
        equal_in_constant_time(scram::hash(mechanism_, client_key), credential_.stored_key);
    if (!equal || !known_) return refused();
    const Bytes server_signature = scram::hmac(mechanism_, credential_.server_key, auth_message);
    return SaslStep{bytes_of("v=" + base64_encode(server_signature)), true};
  }

  static Error refused() { return failed({}); }

  const ScramMechanism mechanism_;
  const CredentialStore& credentials_;
  const std::string server_nonce_;
  State state_ = State::kFirst;
  bool known_ = false;
  ScramCredential credential_;
  std::optional<CredentialStore::Token> token_;
  std::string user_, nonce_, client_first_bare_, server_first_;
};

class ScramClient final : public SaslClient {
 public:
  ScramClient(ScramMechanism mechanism, std::string user, std::string password, std::string nonce,
              bool by_token)
      : mechanism_(mechanism),
        password_(std::move(password)),
        nonce_(std::move(nonce)),
        first_bare_("n=" + scram_escape_name(user) + ",r=" + nonce_ +
                    (by_token ? ",tokenauth=true" : "")) {}

  Result<SaslStep> step(std::span<const std::uint8_t> token) override {
    switch (std::exchange(state_, State::kDone)) {
      case State::kStart:
        state_ = State::kFirstSent;
        return SaslStep{bytes_of("n,," + first_bare_), false};
      case State::kFirstSent: {
        auto next = on_server_first(text_of(token));
        if (next.ok()) state_ = State::kFinalSent;
        return next;
      }
      case State::kFinalSent:
        return on_server_final(text_of(token));
      case State::kDone:
        break;
    }
    return failed("Unexpected SCRAM message");
  }

 private:
  enum class State { kStart, kFirstSent, kFinalSent, kDone };

  Result<SaslStep> on_server_first(std::string_view message) {
    if (message.starts_with("e="))
      return failed("The server refused: " + std::string(message.substr(2)));
    ASSIGN_OR_RETURN(const Attributes attributes, parse_attributes(message));
    if (!has_keys(attributes, "rsi")) return failed("Invalid SCRAM message format");
    const std::string_view nonce = attributes[0].second;
    if (!nonce.starts_with(nonce_) || nonce.size() == nonce_.size())
      return failed("Invalid server nonce");
    auto salt = base64_decode(attributes[1].second);
    const std::string_view count = attributes[2].second;
    std::int32_t iterations = 0;
    const auto parsed = std::from_chars(count.data(), count.data() + count.size(), iterations);
    if (!salt || salt->empty() || parsed.ec != std::errc() ||
        parsed.ptr != count.data() + count.size())
      return failed("Invalid SCRAM message format");
    if (iterations < kScramMinIterations || iterations > kClientMaxIterations)
      return failed("The server asks for " + std::string(count) + " iterations, accepted are " +
                    std::to_string(kScramMinIterations) + " to " +
                    std::to_string(kClientMaxIterations));

    const Bytes salted = scram::salted_password(mechanism_, password_, *salt, iterations);
    const Bytes client_key = scram::hmac(mechanism_, salted, "Client Key");
    const Bytes stored_key = scram::hash(mechanism_, client_key);
    const std::string without_proof = std::string(kChannelBinding) + ",r=" + std::string(nonce);
    const std::string auth_message = first_bare_ + "," + std::string(message) + "," + without_proof;
    const Bytes signature = scram::hmac(mechanism_, stored_key, auth_message);
    const Bytes proof = scram::exclusive_or(client_key, signature);
    server_signature_ =
        scram::hmac(mechanism_, scram::hmac(mechanism_, salted, "Server Key"), auth_message);
    return SaslStep{bytes_of(without_proof + ",p=" + base64_encode(proof)), false};
  }

  Result<SaslStep> on_server_final(std::string_view message) {
    if (message.starts_with("e="))
      return failed("The server refused: " + std::string(message.substr(2)));
    if (!message.starts_with("v=")) return failed("Invalid SCRAM message format");
    const std::string_view encoded = message.substr(2, message.find(',') - 2);
    const auto signature = base64_decode(encoded);
    if (!signature || !equal_in_constant_time(*signature, server_signature_))
      return failed("The server does not know the password");
    return SaslStep{{}, true};
  }

  const ScramMechanism mechanism_;
  const std::string password_;
  const std::string nonce_;
  const std::string first_bare_;
  State state_ = State::kStart;
  Bytes server_signature_;
};

}  // namespace

std::unique_ptr<SaslServer> make_scram_server(ScramMechanism mechanism,
                                              const CredentialStore& credentials,
                                              std::string server_nonce) {
  return std::make_unique<ScramServer>(mechanism, credentials, std::move(server_nonce));
}

std::unique_ptr<SaslClient> make_scram_client(ScramMechanism mechanism, std::string user,
                                              std::string password, std::string client_nonce,
                                              bool by_token) {
  return std::make_unique<ScramClient>(mechanism, std::move(user), std::move(password),
                                       std::move(client_nonce), by_token);
}

}  // namespace broker::security
