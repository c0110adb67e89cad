#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/common/result.h"

namespace broker {

enum class Base64 { kStandard, kUrlSafeNoPadding };

std::string base64_encode(std::span<const std::uint8_t> bytes, Base64 variant = Base64::kStandard);
std::string base64_encode(std::string_view bytes, Base64 variant = Base64::kStandard);
/// Errors: kInvalidRequest on a character outside the alphabet or a wrong length. Padding may be
/// missing in both variants.
Result<std::vector<std::uint8_t>> base64_decode(std::string_view text,
                                                Base64 variant = Base64::kStandard);

}  // namespace broker
