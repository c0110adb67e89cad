#pragma once

#include <memory>

#include "broker/io/transport.h"
#include "operator/kafka/cluster_view.h"

namespace op::kafka {

/// The client side of TLS from the PEM texts of a ConnectionSpec; they touch no disk.
class TlsMaterial {
 public:
  /// Errors: kInvalidConfig with what is wrong with them.
  static broker::Result<std::unique_ptr<TlsMaterial>> make(broker::io::Transport& transport,
                                                           const ConnectionSpec& spec);
  ~TlsMaterial();

  const std::shared_ptr<broker::io::TlsContext>& context() const { return context_; }
  /// Connections made from now on use these; what is open stays. On an error the old ones stay in
  /// force. One thread at a time.
  broker::Result<void> renew(const ConnectionSpec& spec);

 private:
  struct Files;
  TlsMaterial();

  std::unique_ptr<Files> files_;
  std::shared_ptr<broker::io::TlsContext> context_;
};

/// The same for one that is never renewed.
broker::Result<std::shared_ptr<broker::io::TlsContext>> make_tls(broker::io::Transport& transport,
                                                                 const ConnectionSpec& spec);

}  // namespace op::kafka
