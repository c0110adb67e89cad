#include "broker/replication/metrics.h"

namespace broker::replication {

TopicCounters& TopicCounters::operator+=(const TopicCounters& other) {
  bytes_in += other.bytes_in;
  bytes_out += other.bytes_out;
  replication_bytes_in += other.replication_bytes_in;
  replication_bytes_out += other.replication_bytes_out;
  messages_in += other.messages_in;
  produce_requests += other.produce_requests;
  fetch_requests += other.fetch_requests;
  failed_produce_requests += other.failed_produce_requests;
  failed_fetch_requests += other.failed_fetch_requests;
  isr_shrinks += other.isr_shrinks;
  isr_expands += other.isr_expands;
  return *this;
}

}  // namespace broker::replication
