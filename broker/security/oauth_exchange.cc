// The server's end of OAUTHBEARER (RFC 7628) as Kafka speaks it:
//   client   n,[a=<authorization id>],^A auth=Bearer <token> ^A [<extension>=<value> ^A]... ^A
//   server   nothing, or {"status":"invalid_token"}
//   client   ^A   after such a refusal
#include <algorithm>
#include <cctype>

#include "broker/security/sasl.h"

namespace broker::security {
namespace {

constexpr char kSeparator = '\x01';
constexpr std::string_view kInvalidToken = "{\"status\":\"invalid_token\"}";

/// Kafka says no more than that the credentials are wrong.
Error no_oauth_message() { return {ErrorCode::kSaslAuthenticationFailed, {}}; }

bool is_token_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
         std::string_view("-_~+/.").find(c) != std::string_view::npos;
}

bool is_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return c < 128 && std::isalpha(c) != 0;
  });
}

bool is_value(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 0x21 && c <= 0x7e) || c == ' ' || c == '\t' || c == '\r' || c == '\n';
  });
}

struct ClientMessage {
  std::string authorization_id;
  std::string token;
};

/// "Bearer <token>".
Result<std::string> token_of(std::string_view auth) {
  const auto blank = auth.find(' ');
  if (blank == auth.npos) return no_oauth_message();
  std::string scheme(auth.substr(0, blank));
  std::transform(scheme.begin(), scheme.end(), scheme.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  auth.remove_prefix(std::min(auth.find_first_not_of(' ', blank), auth.size()));
  std::string_view body = auth;
  while (!body.empty() && body.back() == '=') body.remove_suffix(1);
  if (scheme != "bearer" || body.empty() || !std::all_of(body.begin(), body.end(), is_token_char))
    return no_oauth_message();
  return std::string(auth);
}

Result<ClientMessage> parse_client_message(std::string_view text) {
  ClientMessage out;
  if (!text.starts_with("n,")) return no_oauth_message();
  text.remove_prefix(2);
  if (text.starts_with("a=")) {
    const std::string_view id = text.substr(2, text.find(',') - 2);
    if (id.empty()) return no_oauth_message();
    out.authorization_id = id;
    text.remove_prefix(2 + id.size());
  }
  if (text.size() < 3 || text[0] != ',' || text[1] != kSeparator || text.back() != kSeparator)
    return no_oauth_message();
  text = text.substr(2, text.size() - 3);
  std::optional<std::string_view> auth;
  while (!text.empty()) {
    const auto end = text.find(kSeparator);
    const auto equals = text.find('=');
    if (end == text.npos || equals == text.npos || equals > end) return no_oauth_message();
    const std::string_view name = text.substr(0, equals);
    const std::string_view value = text.substr(equals + 1, end - equals - 1);
    if (!is_name(name) || !is_value(value)) return no_oauth_message();
    if (name == "auth") auth = value;
    text.remove_prefix(end + 1);
  }
  if (!auth) return no_oauth_message();
  ASSIGN_OR_RETURN(out.token, token_of(*auth));
  return out;
}

class OAuthServer final : public SaslServer {
 public:
  explicit OAuthServer(const BearerValidator& validator) : validator_(validator) {}

  Result<SaslStep> step(std::span<const std::uint8_t> token) override {
    if (std::exchange(over_, true)) {
      // The client has acknowledged that its token was refused.
      return Error{ErrorCode::kSaslAuthenticationFailed,
                   refused_ ? std::string(kInvalidToken) : std::string()};
    }
    ASSIGN_OR_RETURN(
        const ClientMessage message,
        parse_client_message({reinterpret_cast<const char*>(token.data()), token.size()}));
    auto bearer = validator_.validate(message.token);
    if (!bearer.ok()) {
      refused_ = true;
      return SaslStep{bytes_of(kInvalidToken), false};
    }
    if (!message.authorization_id.empty() && message.authorization_id != bearer->user)
      return Error{ErrorCode::kSaslAuthenticationFailed,
                   "Authentication failed: Client requested an authorization id (" +
                       message.authorization_id +
                       ") that is different from the token's principal name (" + bearer->user +
                       ")"};
    user_ = std::move(bearer->user);
    expires_ = bearer->expires;
    return SaslStep{{}, true};
  }
  const std::string& user() const override { return user_; }
  std::optional<WallMs> expires() const override { return expires_; }

 private:
  const BearerValidator& validator_;
  bool over_ = false;
  bool refused_ = false;
  std::string user_;
  std::optional<WallMs> expires_;
};

}  // namespace

std::unique_ptr<SaslServer> make_oauth_server(const BearerValidator& validator) {
  return std::make_unique<OAuthServer>(validator);
}

}  // namespace broker::security
