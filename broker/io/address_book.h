#pragma once

#include <map>
#include <mutex>
#include <string>

namespace broker::io {

/// Where hosts are right now by their own word. Name servers may remember for half a minute where a
/// host was, or that it was not there: connections go to the address of this book, a number, until
/// one of them fails; from then on the name is looked up as any other. From any thread.
class AddressBook {
 public:
  /// "" takes it back.
  void set(const std::string& host, const std::string& address) {
    const std::lock_guard lock(mutex_);
    if (address.empty()) {
      addresses_.erase(host);
    } else {
      addresses_[host] = address;
    }
  }
  /// "": not known.
  std::string find(const std::string& host) const {
    const std::lock_guard lock(mutex_);
    const auto found = addresses_.find(host);
    return found == addresses_.end() ? std::string() : found->second;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string> addresses_;  // guarded by mutex_
};

}  // namespace broker::io
