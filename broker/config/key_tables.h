#pragma once

namespace broker::config {

/// The text of broker_keys.tsv, topic_keys.tsv and group_keys.tsv.
extern const char* const kBrokerKeyTable;
extern const char* const kTopicKeyTable;
extern const char* const kGroupKeyTable;

}  // namespace broker::config
