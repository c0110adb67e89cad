#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "broker/io/transport.h"
#include "broker/server/client_quotas.h"
#include "broker/server/frame_reader.h"
#include "broker/server/request.h"
#include "broker/server/sasl_authenticator.h"
#include "broker/server/worker.h"

namespace broker::server {

/// One accepted connection on its worker's strand: bytes → frames → (SASL) → requests to the sink,
/// answers back in the order of the requests.
///
/// Reading goes on while it may: less than the allowed requests and bytes are in flight, the peer
/// takes its answers, the worker's memory admits the next frame. Nothing is dropped when it may
/// not; the peer feels TCP.
class Connection final : public io::StreamHandler, public std::enable_shared_from_this<Connection> {
 public:
  /// `number`: its name within the worker.
  Connection(Worker& worker, std::uint64_t number, std::shared_ptr<const Listener> listener,
             std::unique_ptr<io::Stream> stream, Task on_closed);
  ~Connection() override;

  void start();
  /// Takes no more requests and closes when what is in flight is answered and sent.
  void drain();
  Instant last_active() const { return last_active_; }
  const Listener& listener() const { return *listener_; }
  /// Closes at once. `reason` is logged unless empty.
  void close(const std::string& reason);
  /// The same for one that has not shown who it is.
  void cut_stranger(const std::string& reason);

 private:
  struct InFlight {
    MemoryBudget::Reservation memory;
    std::optional<Reply> reply;
    std::int16_t api_key = -1;  // -1: not a request that is passed on
    Instant received{};
  };

  void on_open() override;
  std::span<std::uint8_t> read_buffer() override { return reader_.buffer(); }
  void on_read(std::size_t n) override;
  void on_drained() override;
  void on_closed(const Error& reason) override;

  // Requests in.
  bool may_process() const;
  void process_input();
  bool admit(std::size_t size);
  std::int32_t max_frame_bytes() const;
  void on_frame(Slice frame);
  void pass_to_sink(protocol::RequestHeader header, Slice body, std::size_t bytes);
  void on_sasl_request(const protocol::RequestHeader& header, const Slice& body);
  void on_sasl_outcome(SaslAuthenticator::Outcome outcome);
  void on_authenticated(std::optional<std::chrono::milliseconds> session_lifetime);
  void on_failed_authentication(Slices answer, const std::string& reason);
  void count_failure();
  bool begin_reauthentication();
  bool is_session_expired() const;
  void refuse_in_its_place(const std::string& reason);
  void answer_too_high_api_versions(const protocol::RequestHeader& header);
  void remember_client_software(const protocol::RequestHeader& header, const Slice& body);
  void malformed(const std::string& reason);

  // Answers out.
  Responder begin_request(std::int16_t api_key, Instant received);
  void deliver(std::uint64_t sequence, Reply reply);
  void flush_answers();
  void answer_now(Slices answer);
  void close_after_answers();
  void end_stream();

  void mute(std::chrono::milliseconds duration);
  void update_reading();
  bool can_continue() const;
  void continue_later();
  void check_idle();
  void update_session(Session session);
  void become_known(Session session);
  bool is_stranger() const { return !session_->authenticated; }

  Worker& worker_;
  const std::uint64_t number_;
  const std::shared_ptr<const Listener> listener_;
  const Limits& limits_;
  ListenerMetrics& metrics_;
  std::unique_ptr<io::Stream> stream_;
  Task on_closed_;
  const std::shared_ptr<ConnectionEnd> end_ = std::make_shared<ConnectionEnd>();
  const std::shared_ptr<QuotaShares> quota_shares_ = std::make_shared<QuotaShares>();
  std::shared_ptr<const Session> session_;
  std::optional<SaslAuthenticator> sasl_;  // while somebody logs in, for the first time or again
  std::string mechanism_;                  // of the last authentication
  std::optional<Instant> session_expires_;
  std::optional<Instant> last_reauthentication_;
  FrameReader reader_;

  std::deque<InFlight> in_flight_;
  std::uint64_t first_sequence_ = 0;  // of in_flight_.front()
  std::size_t in_flight_bytes_ = 0;
  MemoryBudget::Reservation admitted_;  // of the frame being received
  Instant last_active_{};
  io::TimerId idle_timer_ = io::kNoTimer;
  io::TimerId login_timer_ = io::kNoTimer;  // until it has shown who it is
  io::TimerId delay_timer_ = io::kNoTimer;
  Instant muted_until_{};
  io::TimerId mute_timer_ = io::kNoTimer;
  bool open_ = false;
  bool processing_ = false;  // answers are gathered and written once
  bool continue_posted_ = false;
  bool frame_waits_ = false;       // its size is known, it is not admitted yet
  bool waits_for_memory_ = false;  // of the worker
  bool memory_granted_ = false;    // admitted_ is for the waiting frame
  bool reading_ = true;
  bool no_more_requests_ = false;  // closes after what is in flight
  bool ended_ = false;             // the stream was told to close
  bool closed_ = false;
};

}  // namespace broker::server
