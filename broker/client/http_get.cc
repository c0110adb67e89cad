#include "broker/client/http_get.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>

#include "broker/common/text.h"

namespace broker::client {
namespace {

constexpr std::string_view kLine = "\r\n";
constexpr std::uint16_t kHttpPort = 80;
constexpr std::uint16_t kHttpsPort = 443;

Error bad_answer(std::string why) { return {ErrorCode::kNetworkException, std::move(why)}; }

std::optional<std::size_t> number_in(std::string_view text, int base) {
  std::size_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (parsed.ec != std::errc() || parsed.ptr == text.data()) return std::nullopt;
  return value;
}

Result<std::string> unchunked(std::string_view text) {
  const Error cut = bad_answer("the answer was cut short");
  std::string body;
  while (true) {
    const auto end = text.find(kLine);
    if (end == text.npos) return cut;
    const auto size = number_in(text.substr(0, end), 16);
    text.remove_prefix(end + kLine.size());
    if (!size || *size > text.size()) return cut;
    if (*size == 0) return body;
    body += text.substr(0, *size);
    text.remove_prefix(*size);
    if (!text.starts_with(kLine)) return cut;
    text.remove_prefix(kLine.size());
  }
}

}  // namespace

Result<Url> parse_url(const std::string& text) {
  const Error wrong{ErrorCode::kInvalidConfig, "'" + text + "' is no http or https URL"};
  Url url;
  std::string_view rest = text;
  const std::string scheme = lower(rest.substr(0, rest.find("://")));
  if (scheme.size() == rest.size() || (scheme != "http" && scheme != "https")) return wrong;
  url.tls = scheme == "https";
  rest.remove_prefix(scheme.size() + 3);
  const auto end = std::min(rest.find_first_of("/?#"), rest.size());
  std::string_view authority = rest.substr(0, end);
  std::string target(rest.substr(end, rest.find('#') - end));
  if (!target.starts_with('/')) target.insert(target.begin(), '/');
  const bool printable =
      std::all_of(target.begin(), target.end(), [](unsigned char c) { return c > ' ' && c < 127; });
  if (!printable || authority.find('@') != authority.npos) return wrong;
  url.target = std::move(target);
  url.endpoint.port = url.tls ? kHttpsPort : kHttpPort;
  const auto bracket = authority.rfind(']');
  const auto colon = authority.rfind(':');
  if (colon != authority.npos && (bracket == authority.npos || colon > bracket)) {
    const auto port = number_in(authority.substr(colon + 1), 10);
    if (!port || *port == 0 || *port > 65535) return wrong;
    url.endpoint.port = static_cast<std::uint16_t>(*port);
    authority = authority.substr(0, colon);
  }
  if (authority.size() >= 2 && authority.front() == '[' && authority.back() == ']')
    authority = authority.substr(1, authority.size() - 2);
  if (authority.empty()) return wrong;
  url.endpoint.host = authority;
  return url;
}

Result<std::string> http_body(const std::string& answer) {
  const std::string_view text = answer;
  const auto head_end = text.find("\r\n\r\n");
  if (head_end == text.npos || !text.starts_with("HTTP/1.")) return bad_answer("no HTTP answer");
  std::string_view head = text.substr(0, head_end);
  const std::string_view body = text.substr(head_end + 4);
  const std::string_view status_line = head.substr(0, head.find(kLine));
  if (status_line.size() < 12 || status_line.substr(9, 3) != "200")
    return bad_answer("the server answered " + std::string(status_line.substr(0, 100)));
  std::map<std::string, std::string> headers;
  while (head.find(kLine) != head.npos) {
    head.remove_prefix(head.find(kLine) + kLine.size());
    const std::string_view line = head.substr(0, head.find(kLine));
    const auto colon = line.find(':');
    if (colon != line.npos) headers[lower(line.substr(0, colon))] = trim(line.substr(colon + 1));
  }
  if (lower(headers["transfer-encoding"]) == "chunked") return unchunked(body);
  if (const auto length = headers.find("content-length"); length != headers.end()) {
    const auto size = number_in(length->second, 10);
    if (!size || *size > body.size()) return bad_answer("the answer was cut short");
    return std::string(body.substr(0, *size));
  }
  return std::string(body);
}

/// Alive as long as the stream has events for it.
class HttpGet::Exchange final : public io::StreamHandler,
                                public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(io::Strand& strand, HttpGetOptions options, Done done)
      : strand_(strand), options_(options), done_(std::move(done)) {}

  void start(io::Transport& transport, const Url& url, std::shared_ptr<io::TlsContext> tls) {
    const bool is_default = url.endpoint.port == (url.tls ? kHttpsPort : kHttpPort);
    request_ = "GET " + url.target + " HTTP/1.1\r\nHost: " +
               (is_default ? url.endpoint.host : io::to_string(url.endpoint)) +
               "\r\nAccept: application/json\r\nConnection: close\r\n\r\n";
    timer_ = strand_.call_after(options_.timeout, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) {
        self->timer_ = io::kNoTimer;
        self->finish(bad_answer("no answer within " +
                                std::to_string(self->options_.timeout.count()) + " ms"));
      }
    });
    stream_ = transport.connect(strand_, url.endpoint, url.tls ? std::move(tls) : nullptr);
    stream_->start(*this);
  }
  /// Nobody waits any more.
  void cancel() {
    done_ = nullptr;
    end();
  }

 private:
  void on_open() override { stream_->write({Slice::copy_of(request_)}); }
  std::span<std::uint8_t> read_buffer() override { return buffer_; }
  void on_read(std::size_t n) override {
    answer_.append(reinterpret_cast<const char*>(buffer_.data()), n);
    if (answer_.size() > options_.max_bytes)
      finish(
          bad_answer("the answer is longer than " + std::to_string(options_.max_bytes) + " bytes"));
  }
  void on_drained() override {}
  void on_closed(const Error& reason) override {
    if (answer_.empty() && reason.code != ErrorCode::kNone)
      return finish(bad_answer(reason.detail));
    finish(http_body(answer_));
  }

  void finish(Result<std::string> result) {
    if (!done_) return;
    // Not from inside the stream's events: whoever is told may drop everything.
    strand_.post([self = shared_from_this(), result = std::move(result)]() mutable {
      self->end();
      if (self->done_) std::exchange(self->done_, nullptr)(std::move(result));
    });
  }
  void end() {
    if (timer_ != io::kNoTimer) strand_.cancel(std::exchange(timer_, io::kNoTimer));
    stream_.reset();
  }

  io::Strand& strand_;
  const HttpGetOptions options_;
  Done done_;
  std::string request_;
  std::array<std::uint8_t, 16 * 1024> buffer_;
  std::string answer_;
  std::unique_ptr<io::Stream> stream_;
  io::TimerId timer_ = io::kNoTimer;
};

HttpGet::HttpGet(io::Transport& transport, io::Strand& strand, const Url& url,
                 std::shared_ptr<io::TlsContext> tls, HttpGetOptions options, Done done)
    : exchange_(std::make_shared<Exchange>(strand, options, std::move(done))) {
  exchange_->start(transport, url, std::move(tls));
}

HttpGet::~HttpGet() { exchange_->cancel(); }

}  // namespace broker::client
