#include "broker/node/bearer_tokens.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <variant>

#include "broker/common/log.h"

namespace broker::node {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kFile = "file://";
constexpr milliseconds kFileInterval{1000};
constexpr std::size_t kMaxFileBytes = 1 << 20;
// As Kafka's.
constexpr std::size_t kMaxUnknownKeys = 16;
constexpr std::chrono::seconds kUnknownKeyInterval{60};
constexpr std::size_t kMaxKeyIdBytes = 1000;

security::JwtRules rules_of(const config::OAuthSettings& settings) {
  security::JwtRules rules;
  rules.expected_audience = {settings.expected_audience.begin(), settings.expected_audience.end()};
  if (!settings.expected_issuer.empty()) rules.expected_issuer = settings.expected_issuer;
  rules.clock_skew_seconds = settings.clock_skew_seconds;
  rules.scope_claim_name = settings.scope_claim_name;
  rules.sub_claim_name = settings.sub_claim_name;
  return rules;
}

Result<std::string> content_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  if (!in) return Error{ErrorCode::kInvalidConfig, "cannot read " + path};
  std::string content = std::move(text).str();
  if (content.size() > kMaxFileBytes)
    return Error{ErrorCode::kInvalidConfig, path + " is too large for a set of keys"};
  return content;
}

std::shared_ptr<const security::Jwks> empty_set() {
  return *security::Jwks::parse(R"({"keys":[]})");
}

}  // namespace

bool BearerTokens::UnknownKeys::may_look_for(const std::string& id, Instant now) {
  if (id.size() > kMaxKeyIdBytes) return false;
  const auto known =
      std::find_if(looks_.begin(), looks_.end(), [&](const Look& look) { return look.id == id; });
  if (known != looks_.end() && known->again > now) return false;
  if (known != looks_.end()) looks_.erase(known);
  looks_.push_front({id, now + kUnknownKeyInterval});
  if (looks_.size() > kMaxUnknownKeys) looks_.pop_back();
  return true;
}

BearerTokens::BearerTokens(Ports ports, std::string listener, config::OAuthSettings settings)
    : ports_(ports),
      listener_(std::move(listener)),
      settings_(std::move(settings)),
      rules_(rules_of(settings_)),
      keys_(empty_set()) {}

Result<void> BearerTokens::start() {
  if (!settings_.jwks_url.starts_with(kFile)) {
    ASSIGN_OR_RETURN(url_, client::parse_url(settings_.jwks_url));
    if (url_->tls) {
      io::TlsClientOptions options;
      options.ca_path = settings_.truststore_path;
      ASSIGN_OR_RETURN(tls_, ports_.transport.make_client_tls(options));
    }
  }
  fetch();
  return {};
}

void BearerTokens::stop() {
  stopped_ = true;
  get_.reset();
  if (timer_ != io::kNoTimer) ports_.main.cancel(std::exchange(timer_, io::kNoTimer));
}

Result<security::Bearer> BearerTokens::validate(std::string_view token) const {
  auto outcome = security::validate_jwt(token, *keys_.get(), rules_, ports_.main.wall_now());
  if (auto* identity = std::get_if<security::JwtIdentity>(&outcome))
    return security::Bearer{std::move(identity->subject), identity->expires};
  auto& refusal = std::get<security::JwtRefusal>(outcome);
  log_warn("node", "a bearer token was refused",
           {{"listener", listener_}, {"reason", refusal.reason}});
  if (refusal.unknown_key_id)
    ports_.main.post([weak = weak_from_this(), id = std::move(*refusal.unknown_key_id)] {
      const auto self = std::const_pointer_cast<BearerTokens>(weak.lock());
      if (self != nullptr) self->on_unknown_key(id);
    });
  return Error{ErrorCode::kSaslAuthenticationFailed, refusal.reason};
}

void BearerTokens::on_unknown_key(const std::string& id) {
  if (!url_ || stopped_ || !unknown_.may_look_for(id, ports_.main.now())) return;
  log_info("node", "fetching the issuer's keys for an unknown one",
           {{"listener", listener_}, {"key", id.substr(0, 100)}});
  fetch();
}

void BearerTokens::fetch() {
  if (stopped_ || std::exchange(fetching_, true)) return;
  if (timer_ != io::kNoTimer) ports_.main.cancel(std::exchange(timer_, io::kNoTimer));
  if (url_)
    get_url();
  else
    read_file();
}

void BearerTokens::read_file() {
  auto text = std::make_shared<Result<std::string>>(ErrorCode::kInvalidConfig);
  ports_.workers.run(
      ports_.main,
      [text, path = settings_.jwks_url.substr(kFile.size())] { *text = content_of(path); },
      [weak = weak_from_this(), text] {
        if (const auto self = weak.lock()) self->on_keys(*text);
      });
}

void BearerTokens::get_url() {
  get_ = std::make_unique<client::HttpGet>(ports_.transport, ports_.main, *url_, tls_,
                                           client::HttpGetOptions{},
                                           [weak = weak_from_this()](Result<std::string> text) {
                                             const auto self = weak.lock();
                                             if (self == nullptr) return;
                                             self->get_.reset();
                                             self->on_keys(text);
                                           });
}

void BearerTokens::on_keys(const Result<std::string>& text) {
  fetching_ = false;
  if (stopped_) return;
  const bool changed = text.ok() && *text != text_;
  std::optional<Error> failure;
  if (!text.ok()) {
    failure = text.error();
  } else if (changed) {
    auto keys = security::Jwks::parse(*text);
    if (keys.ok()) {
      log_info("node", "keys of the token issuer loaded",
               {{"listener", listener_}, {"keys", (*keys)->size()}});
      keys_.set(std::move(*keys));
      text_ = *text;
    } else {
      failure = keys.error();
    }
  }
  if (failure) {
    const milliseconds first(settings_.retry_backoff_ms), most(settings_.retry_backoff_max_ms);
    pause_ = pause_.count() == 0 ? first : std::min(pause_ * 2, most);
    log_warn("node", "the keys of the token issuer cannot be had, those from before stay",
             {{"listener", listener_},
              {"url", settings_.jwks_url},
              {"error", failure->detail},
              {"retry_ms", pause_.count()}});
    return fetch_after(pause_);
  }
  pause_ = milliseconds(0);
  fetch_after(url_ ? milliseconds(settings_.refresh_ms) : kFileInterval);
}

void BearerTokens::fetch_after(milliseconds pause) {
  timer_ = ports_.main.call_after(pause, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    self->timer_ = io::kNoTimer;
    self->fetch();
  });
}

}  // namespace broker::node
