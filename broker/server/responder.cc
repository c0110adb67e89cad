#include "broker/server/request.h"

namespace broker::server {

Responder::~Responder() {
  if (deliver_) deliver({Reply::Kind::kClose, {}, "the request was dropped without an answer"});
}

Responder& Responder::operator=(Responder&& other) noexcept {
  if (this != &other) {
    Responder dropped(std::move(deliver_));
    deliver_ = std::exchange(other.deliver_, nullptr);
  }
  return *this;
}

void Responder::send(Slices framed, std::chrono::milliseconds mute) {
  deliver({Reply::Kind::kSend, std::move(framed), {}, mute});
}

void Responder::send_nothing(std::chrono::milliseconds mute) {
  deliver({Reply::Kind::kNothing, {}, {}, mute});
}

void Responder::close_connection(std::string reason) {
  deliver({Reply::Kind::kClose, {}, std::move(reason)});
}

void Responder::deliver(Reply reply) {
  CHECK(deliver_);
  // Emptied first: the call may come back here through the connection.
  auto deliver = std::exchange(deliver_, nullptr);
  deliver(std::move(reply));
}

}  // namespace broker::server
