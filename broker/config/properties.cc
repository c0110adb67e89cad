#include "broker/config/properties.h"

#include <cstdint>
#include <cstdlib>
#include <set>

#include "broker/config/config_def.h"

namespace broker::config {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\f'; }

void append_utf8(std::string& out, std::uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xe0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  }
}

bool read_hex4(std::string_view text, std::uint32_t& code) {
  if (text.size() < 4) return false;
  code = 0;
  for (const char c : text.substr(0, 4)) {
    const std::string_view kDigits = "0123456789abcdef";
    const auto digit = kDigits.find(static_cast<char>(c >= 'A' && c <= 'F' ? c + 32 : c));
    if (digit == kDigits.npos) return false;
    code = code * 16 + static_cast<std::uint32_t>(digit);
  }
  return true;
}

Result<std::string> unescape(std::string_view text, int line) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    switch (const char c = text[++i]) {
      case 't':
        out += '\t';
        break;
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 'f':
        out += '\f';
        break;
      case 'u': {
        std::uint32_t code = 0;
        if (!read_hex4(text.substr(i + 1), code))
          return Error{ErrorCode::kInvalidConfig,
                       "line " + std::to_string(line) + ": \\u needs four hexadecimal digits"};
        i += 4;
        std::uint32_t low = 0;  // a surrogate pair is one character
        if (code >= 0xd800 && code < 0xdc00 && text.substr(i + 1, 2) == "\\u" &&
            read_hex4(text.substr(i + 3), low) && low >= 0xdc00 && low < 0xe000) {
          code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
          i += 6;
        }
        append_utf8(out, code);
        break;
      }
      default:
        out += c;
    }
  }
  return out;
}

/// The next logical line: continuation lines joined, comments and empty lines skipped. False at the
/// end.
bool next_line(std::string_view& text, int& line, std::string& out, int& first_line) {
  out.clear();
  bool continued = false;
  while (!text.empty()) {
    const auto end = text.find_first_of("\r\n");
    std::string_view natural = text.substr(0, end);
    text.remove_prefix(natural.size());
    if (!text.empty()) text.remove_prefix(text.substr(0, 2) == "\r\n" ? 2 : 1);
    ++line;
    while (!natural.empty() && is_blank(natural.front())) natural.remove_prefix(1);
    if (!continued) {
      if (natural.empty() || natural.front() == '#' || natural.front() == '!') continue;
      first_line = line;
    }
    std::size_t slashes = 0;
    while (slashes < natural.size() && natural[natural.size() - 1 - slashes] == '\\') ++slashes;
    continued = slashes % 2 == 1;
    if (continued) natural.remove_suffix(1);
    out += natural;
    if (!continued) return true;
  }
  return continued;  // a backslash on the last line continues into nothing
}

/// Where the key ends: an unescaped '=', ':' or blank.
std::size_t key_length(std::string_view line) {
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\\') {
      ++i;
    } else if (line[i] == '=' || line[i] == ':' || is_blank(line[i])) {
      return i;
    }
  }
  return line.size();
}

Result<std::string> provide(std::string_view provider, const std::string& path,
                            const std::string& key, const FileReader& read_file) {
  if (provider == "env") {
    const char* value = std::getenv(key.c_str());
    if (value == nullptr)
      return Error{ErrorCode::kInvalidConfig, "environment variable " + key + " is not set"};
    return std::string(value);
  }
  ASSIGN_OR_RETURN(const std::string content,
                   read_file(provider == "dir" ? path + "/" + key : path));
  if (provider == "dir") return content;
  ASSIGN_OR_RETURN(const std::vector<Property> properties, parse_properties(content));
  for (auto it = properties.rbegin(); it != properties.rend(); ++it)
    if (it->key == key) return it->value;
  return Error{ErrorCode::kInvalidConfig, path + " has no key " + key};
}

/// Replaces every ${provider:path:key} of an enabled provider; other text stays.
Result<std::string> substitute(std::string_view value, const std::set<std::string>& providers,
                               const FileReader& read_file) {
  std::string out;
  for (;;) {
    const auto start = value.find("${");
    out += value.substr(0, start);
    if (start == value.npos) return out;
    const auto end = value.find('}', start);
    const std::string_view inner =
        end == value.npos ? std::string_view() : value.substr(start + 2, end - start - 2);
    const auto first = inner.find(':');
    const auto last = inner.rfind(':');
    const std::string name(inner.substr(0, first));
    if (first == inner.npos || first == last || !providers.contains(name)) {
      out += "${";
      value.remove_prefix(start + 2);
      continue;
    }
    const std::string path(inner.substr(first + 1, last - first - 1));
    ASSIGN_OR_RETURN(const std::string text,
                     provide(name, path, std::string(inner.substr(last + 1)), read_file));
    out += text;
    value.remove_prefix(end + 1);
  }
}

}  // namespace

Result<std::vector<Property>> parse_properties(std::string_view text) {
  std::vector<Property> out;
  std::string line;
  int number = 0;
  int first_line = 0;
  while (next_line(text, number, line, first_line)) {
    std::string_view rest = line;
    const std::size_t length = key_length(rest);
    ASSIGN_OR_RETURN(std::string key, unescape(rest.substr(0, length), first_line));
    rest.remove_prefix(length);
    while (!rest.empty() && is_blank(rest.front())) rest.remove_prefix(1);
    if (!rest.empty() && (rest.front() == '=' || rest.front() == ':')) rest.remove_prefix(1);
    while (!rest.empty() && is_blank(rest.front())) rest.remove_prefix(1);
    ASSIGN_OR_RETURN(std::string value, unescape(rest, first_line));
    out.push_back({std::move(key), std::move(value), first_line});
  }
  return out;
}

std::string format_property(std::string_view key, std::string_view value) {
  std::string out;
  const auto append = [&out](std::string_view text, bool is_key) {
    bool leading = true;
    for (const char c : text) {
      switch (c) {
        case '\t':
          out += "\\t";
          break;
        case '\n':
          out += "\\n";
          break;
        case '\r':
          out += "\\r";
          break;
        case '\f':
          out += "\\f";
          break;
        case '\\':
          out += "\\\\";
          break;
        case ' ':
          out += is_key || leading ? "\\ " : " ";
          break;
        case '=':
        case ':':
        case '#':
        case '!':
          if (is_key) out += '\\';
          out += c;
          break;
        default:
          out += c;
      }
      if (c != ' ') leading = false;
    }
  };
  append(key, true);
  out += '=';
  append(value, false);
  return out;
}

Result<void> resolve_providers(std::vector<Property>& properties, const FileReader& read_file) {
  std::set<std::string> providers;
  for (const Property& property : properties) {
    if (property.key != "config.providers") continue;
    providers.clear();
    for (const std::string& name : to_list(property.value)) {
      if (name != "file" && name != "dir" && name != "env")
        return Error{ErrorCode::kInvalidConfig,
                     "config.providers: unknown provider " + name + " (allowed: file, dir, env)"};
      providers.insert(name);
    }
  }
  if (providers.empty()) return {};
  for (Property& property : properties) {
    auto value = substitute(property.value, providers, read_file);
    if (!value.ok())
      return Error{ErrorCode::kInvalidConfig, property.key + ": " + value.error().detail};
    property.value = std::move(*value);
  }
  return {};
}

}  // namespace broker::config
