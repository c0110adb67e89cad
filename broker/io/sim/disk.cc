#include "broker/io/sim/disk.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace broker::io::sim {
namespace {

constexpr std::uint64_t kSector = 512;

}  // namespace

/// What was written to a file and is not known to be on the medium.
struct Disk::Dirt {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;  // [from, to)
  std::uint64_t min_size = 0, max_size = 0;
};

/// A file as it was when it was shortened. What is written behind the new end later goes to other
/// blocks: after a power failure old and new content never mix there.
struct Disk::BeforeCut {
  std::vector<std::uint8_t> content;
  Dirt dirt;
  std::uint64_t size;  // that it was shortened to
};

struct Disk::Node {
  explicit Node(bool is_directory) : directory(is_directory) {}

  const bool directory;
  WallMs modified = 0;
  // A directory's.
  std::map<std::string, NodePtr, std::less<>> names, names_on_medium;
  // A file's.
  bool linked = true;  // it has a name; what has none but is open takes no room
  std::vector<std::uint8_t> live, on_medium;
  Dirt dirt;
  std::vector<BeforeCut> cuts;  // since the last sync
};

struct Disk::Change {
  NodePtr directory;
  std::string name;
  NodePtr node;             // null: the name goes away
  std::uint64_t group = 0;  // the halves of a rename share one
};

Disk::Disk(Scheduler& scheduler, std::string name)
    : scheduler_(scheduler), name_(std::move(name)), root_(std::make_shared<Node>(true)) {}
Disk::~Disk() = default;

Disk::NodePtr Disk::find(const std::string& path) const {
  NodePtr node = root_;
  const std::string_view text = path;
  for (std::size_t at = 1; at < text.size();) {
    const std::size_t end = std::min(text.find('/', at), text.size());
    const std::string_view name = text.substr(at, end - at);
    at = end + 1;
    if (name.empty()) continue;
    const auto child = node->names.find(name);
    if (child == node->names.end()) return nullptr;
    node = child->second;
  }
  return node;
}

Disk::NodePtr Disk::parent_of(const std::string& path, std::string& name) const {
  const std::size_t slash = path.find_last_of('/');
  name = path.substr(slash + 1);
  NodePtr parent = find(path.substr(0, slash));
  return parent != nullptr && parent->directory ? parent : nullptr;
}

// ---- names

void Disk::link(const NodePtr& directory, const std::string& name, const NodePtr& node,
                std::uint64_t group) {
  NodePtr& at = directory->names[name];
  if (at != nullptr) {
    used_bytes_ -= bytes_below(*at);
    at->linked = false;
  }
  at = node;
  changes_.push_back({directory, name, node, group});
}

void Disk::unlink(const NodePtr& directory, const std::string& name, std::uint64_t group) {
  directory->names.erase(name);
  changes_.push_back({directory, name, nullptr, group});
}

std::uint64_t Disk::bytes_below(const Node& node) const {
  std::uint64_t bytes = node.live.size();
  for (const auto& [name, child] : node.names) bytes += bytes_below(*child);
  return bytes;
}

void Disk::apply(const Change& change) {
  if (change.node != nullptr) {
    change.directory->names_on_medium[change.name] = change.node;
  } else {
    change.directory->names_on_medium.erase(change.name);
  }
}

void Disk::sync_names(const Node& directory) {
  // A rename between directories ties both together: then everything before it goes too.
  const auto touches = [&](const Change& c) { return c.directory.get() == &directory; };
  std::size_t journal_end = 0;
  for (std::size_t i = 0; i < changes_.size(); ++i) {
    const bool pair = i + 1 < changes_.size() && changes_[i + 1].group == changes_[i].group;
    if (!pair || changes_[i].directory == changes_[i + 1].directory) continue;
    if (touches(changes_[i]) || touches(changes_[i + 1])) journal_end = i + 2;
  }
  std::vector<Change> rest;
  for (std::size_t i = 0; i < changes_.size(); ++i) {
    if (i < journal_end || touches(changes_[i])) {
      apply(changes_[i]);
    } else {
      rest.push_back(std::move(changes_[i]));
    }
  }
  changes_ = std::move(rest);
}

/// Which pending changes of names a power failure finds on the medium.
void Disk::keep_some_names() {
  const auto changes = std::exchange(changes_, {});
  if (changes.empty()) return;
  const std::uint64_t first = changes.front().group;
  const std::uint64_t span = changes.back().group - first + 2;
  const auto draw = [&]() -> std::uint64_t {  // groups below survive
    const std::uint64_t dice = scheduler_.rng().below(4);
    if (dice == 0) return first;
    return dice == 1 ? first + span : first + scheduler_.rng().below(span);
  };
  if (scheduler_.chance(0.6)) {
    const std::uint64_t end = draw();
    for (const Change& change : changes) {
      if (change.group < end) apply(change);
    }
    return;
  }
  std::vector<std::pair<const Node*, std::uint64_t>> ends;  // in the order of the changes
  const auto end_of = [&](const Node* directory) {
    for (const auto& [known, end] : ends) {
      if (known == directory) return end;
    }
    return ends.emplace_back(directory, draw()).second;
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const Change& change = changes[i];
    const bool second = i > 0 && changes[i - 1].group == change.group;
    const bool pair = second || (i + 1 < changes.size() && changes[i + 1].group == change.group);
    const Change& other = !pair ? change : changes[second ? i - 1 : i + 1];
    if (change.group < end_of(change.directory.get()) &&
        change.group < end_of(other.directory.get())) {
      apply(change);
    }
  }
}

// ---- content

void Disk::write(Node& file, std::uint64_t position, std::span<const std::uint8_t> bytes) {
  const std::uint64_t end = position + bytes.size();
  // What lies between the old end and the position is new too.
  const std::uint64_t from = std::min<std::uint64_t>(position, file.live.size());
  if (end > file.live.size()) {
    if (file.linked) used_bytes_ += end - file.live.size();
    file.live.resize(end);
  }
  std::memcpy(file.live.data() + position, bytes.data(), bytes.size());
  file.dirt.max_size = std::max<std::uint64_t>(file.dirt.max_size, file.live.size());
  file.modified = wall_time(scheduler_);
  auto& ranges = file.dirt.ranges;
  if (!ranges.empty() && ranges.back().second == from) {
    ranges.back().second = end;
  } else {
    ranges.emplace_back(from, end);
  }
}

void Disk::truncate(Node& file, std::uint64_t size) {
  const std::uint64_t before = file.live.size();
  if (size == before) return;
  if (size < before) {
    file.cuts.push_back({file.live, std::exchange(file.dirt, {}), size});
    file.dirt.min_size = file.dirt.max_size = size;
  } else {
    file.dirt.ranges.emplace_back(before, size);
    file.dirt.max_size = std::max(file.dirt.max_size, size);
  }
  file.live.resize(size);
  if (file.linked) used_bytes_ += size - before;
  file.modified = wall_time(scheduler_);
}

void Disk::forget_dirt(Node& file) {
  file.cuts.clear();
  file.dirt.ranges.clear();
  file.dirt.min_size = file.dirt.max_size = file.live.size();
}

void Disk::sync_content(Node& file) {
  ++syncs_;
  if (file.cuts.empty()) {
    file.on_medium.resize(file.live.size());
    for (const auto& [from, to] : file.dirt.ranges) {
      std::memcpy(file.on_medium.data() + from, file.live.data() + from, to - from);
    }
  } else {
    file.on_medium = file.live;
  }
  forget_dirt(file);
}

/// Brings some of the sectors of `content` to the medium, and a length between old and new.
void Disk::settle_dirt(Node& file, const std::vector<std::uint8_t>& content, const Dirt& dirt,
                       std::uint64_t dice) {
  if (dirt.ranges.empty() || dice == 1) return;
  std::uint64_t size = content.size();
  const std::uint64_t size_dice = dice == 0 ? 3 : scheduler_.rng().below(4);
  if (size_dice == 0) size = std::min<std::uint64_t>(file.on_medium.size(), dirt.max_size);
  if (size_dice == 1) {
    size = dirt.min_size + scheduler_.rng().below(dirt.max_size - dirt.min_size + 1);
  }
  const double survives = dice == 0 ? 1 : dice == 2 ? 0.5 : 0.95;
  file.on_medium.resize(size);
  for (const auto& [from, to] : dirt.ranges) {
    const std::uint64_t end = std::min<std::uint64_t>({to, content.size(), size});
    for (std::uint64_t at = from; at < end;) {
      const std::uint64_t next = std::min(end, (at / kSector + 1) * kSector);
      if (scheduler_.chance(survives)) {
        std::memcpy(file.on_medium.data() + at, content.data() + at, next - at);
      }
      at = next;
    }
  }
}

/// What a power failure leaves of a file.
void Disk::settle_content(Node& file) {
  const std::uint64_t dice = scheduler_.rng().below(4);  // 0: all was written back, 1: nothing
  std::size_t cuts_done = file.cuts.size();
  if (dice == 1) cuts_done = 0;
  if (dice >= 2) cuts_done = scheduler_.rng().below(file.cuts.size() + 1);
  for (std::size_t i = 0; i <= cuts_done && i < file.cuts.size(); ++i) {
    settle_dirt(file, file.cuts[i].content, file.cuts[i].dirt, dice);
    if (i < cuts_done)
      file.on_medium.resize(std::min<std::uint64_t>(file.on_medium.size(), file.cuts[i].size));
  }
  if (cuts_done == file.cuts.size()) settle_dirt(file, file.live, file.dirt, dice);
  file.live = file.on_medium;
  forget_dirt(file);
}

void Disk::settle(Node& node) {
  if (!node.directory) return settle_content(node);
  node.names = node.names_on_medium;
  for (const auto& [name, child] : node.names) settle(*child);
}

void Disk::lose_power() {
  keep_some_names();
  settle(*root_);
  used_bytes_ = bytes_below(*root_);
  locks_.clear();
}

bool Disk::flip_bit(const std::string& path, std::uint64_t position, int bit) {
  const NodePtr file = find(path);
  if (file == nullptr || position >= file->live.size()) return false;
  const auto mask = static_cast<std::uint8_t>(1u << (bit & 7));
  file->live[position] ^= mask;
  if (position < file->on_medium.size()) file->on_medium[position] ^= mask;
  return true;
}

std::vector<std::string> Disk::files_below(const std::string& directory) {
  std::vector<std::string> found;
  if (const NodePtr node = find(directory); node != nullptr) collect(*node, directory, found);
  return found;
}

void Disk::collect(const Node& directory, const std::string& path, std::vector<std::string>& out) {
  for (const auto& [name, child] : directory.names) {
    const std::string child_path = path + "/" + name;
    if (child->directory) {
      collect(*child, child_path, out);
    } else {
      out.push_back(child_path);
    }
  }
}

// ---- what a process sees

namespace {

Error storage_error(const char* what, const std::string& path, const char* reason) {
  return {ErrorCode::kKafkaStorageError, std::string(what) + " " + path + ": " + reason};
}
Error not_found(const char* what, const std::string& path) {
  return {ErrorCode::kResourceNotFound,
          std::string(what) + " " + path + ": No such file or directory"};
}
Error dead(const char* what, const std::string& path) {
  return storage_error(what, path, "the process is dead");
}

}  // namespace

class SimFile final : public File {
 public:
  SimFile(Disk& disk, std::shared_ptr<Life> life, std::string path, Disk::NodePtr node)
      : disk_(disk), life_(std::move(life)), path_(std::move(path)), node_(std::move(node)) {}
  ~SimFile() override {
    if (holds_lock_ && life_->alive) disk_.locks_.erase(path_);
  }
  void hold_lock() { holds_lock_ = true; }

  Result<std::size_t> read_at(std::uint64_t position, std::span<std::uint8_t> out) const override {
    if (!life_->alive) return dead("read", path_);
    disk_.scheduler_.charge(disk_.behaviour_.read_latency);
    if (disk_.scheduler_.chance(disk_.behaviour_.read_failure)) {
      return storage_error("read", path_, "Input/output error");
    }
    const auto& bytes = node_->live;
    if (position >= bytes.size()) return std::size_t{0};
    const std::size_t count = std::min<std::size_t>(out.size(), bytes.size() - position);
    std::memcpy(out.data(), bytes.data() + position, count);
    return count;
  }

  Result<void> write_at(std::uint64_t position, std::span<const std::uint8_t> bytes) override {
    return write_at(position, Slices{Slice::borrowed(bytes)});
  }

  Result<void> write_at(std::uint64_t position, const Slices& pieces) override {
    if (!life_->alive) return dead("write", path_);
    Scheduler& scheduler = disk_.scheduler_;
    scheduler.charge(disk_.behaviour_.write_latency);
    std::uint64_t total = 0;
    for (const Slice& piece : pieces) total += piece.size();
    std::uint64_t writable = total;
    const char* failure = nullptr;
    if (scheduler.chance(disk_.behaviour_.write_failure)) {
      failure = "Input/output error";
      writable = scheduler.rng().below(total + 1);
    }
    const std::uint64_t growth =
        position + total > node_->live.size() ? position + total - node_->live.size() : 0;
    if (disk_.used_bytes_ + growth > disk_.behaviour_.capacity_bytes) {
      failure = "No space left on device";
      const std::uint64_t missing = disk_.used_bytes_ + growth - disk_.behaviour_.capacity_bytes;
      writable = total - std::min(total, missing);
    }
    announce(DiskOperation::kWrite);
    if (!life_->alive) writable = scheduler.rng().below(writable + 1);
    for (const Slice& piece : pieces) {
      const std::uint64_t count = std::min<std::uint64_t>(piece.size(), writable);
      if (count == 0) continue;
      disk_.write(*node_, position, piece.span().subspan(0, count));
      position += count;
      writable -= count;
    }
    if (!life_->alive) return dead("write", path_);
    if (failure != nullptr) return storage_error("write", path_, failure);
    return {};
  }

  Result<void> sync() override {
    if (!life_->alive) return dead("sync", path_);
    announce(DiskOperation::kSync);
    if (!life_->alive) return dead("sync", path_);
    Scheduler& scheduler = disk_.scheduler_;
    scheduler.charge(
        scheduler.between(disk_.behaviour_.min_sync_latency, disk_.behaviour_.max_sync_latency));
    if (scheduler.chance(disk_.behaviour_.sync_failure)) {
      disk_.forget_dirt(*node_);
      return storage_error("sync", path_, "Input/output error");
    }
    disk_.sync_content(*node_);
    return {};
  }

  Result<void> truncate(std::uint64_t size) override {
    if (!life_->alive) return dead("truncate", path_);
    announce(DiskOperation::kTruncate);
    disk_.truncate(*node_, size);
    return life_->alive ? Result<void>() : dead("truncate", path_);
  }

  Result<std::uint64_t> size() const override {
    if (!life_->alive) return dead("stat", path_);
    return static_cast<std::uint64_t>(node_->live.size());
  }

 private:
  void announce(DiskOperation operation) {
    if (disk_.on_operation_) disk_.on_operation_(operation, path_);
  }

  Disk& disk_;
  const std::shared_ptr<Life> life_;
  const std::string path_;
  const Disk::NodePtr node_;
  bool holds_lock_ = false;
};

class SimFileSystem final : public FileSystem {
 public:
  SimFileSystem(Disk& disk, std::shared_ptr<Life> life) : disk_(disk), life_(std::move(life)) {}

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    ASSIGN_OR_RETURN(auto file, open_file(path, mode));
    return std::unique_ptr<File>(std::move(file));
  }

  Result<FileInfo> stat(const std::string& path) override {
    if (!life_->alive) return dead("stat", path);
    const Disk::NodePtr node = disk_.find(path);
    if (node == nullptr) return not_found("stat", path);
    return FileInfo{node->live.size(), node->modified, node->directory};
  }

  Result<std::vector<std::string>> list(const std::string& directory) override {
    if (!life_->alive) return dead("list", directory);
    const Disk::NodePtr node = disk_.find(directory);
    if (node == nullptr) return not_found("list", directory);
    if (!node->directory) return storage_error("list", directory, "Not a directory");
    std::vector<std::string> names;
    for (const auto& [name, child] : node->names) names.push_back(name);
    return names;
  }

  Result<void> create_directories(const std::string& path) override {
    if (!life_->alive) return dead("create directory", path);
    for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
      const std::string prefix = path.substr(0, end);
      const Disk::NodePtr node = disk_.find(prefix);
      if (node == nullptr) {
        announce(DiskOperation::kCreate, prefix);
        std::string name;
        const Disk::NodePtr parent = disk_.parent_of(prefix, name);
        if (parent == nullptr) return not_found("create directory", prefix);
        disk_.link(parent, name, std::make_shared<Disk::Node>(true), disk_.next_group_++);
        if (!life_->alive) return dead("create directory", path);
      } else if (!node->directory) {
        return storage_error("create directory", prefix, "Not a directory");
      }
      if (end == std::string::npos) return {};
    }
  }

  Result<void> rename(const std::string& from, const std::string& to) override {
    if (!life_->alive) return dead("rename", from);
    std::string old_name, new_name;
    const Disk::NodePtr old_parent = disk_.parent_of(from, old_name);
    const Disk::NodePtr new_parent = disk_.parent_of(to, new_name);
    const Disk::NodePtr node = disk_.find(from);
    if (node == nullptr || old_parent == nullptr || new_parent == nullptr) {
      return not_found("rename", from);
    }
    if (const Disk::NodePtr target = disk_.find(to); target != nullptr && target->directory) {
      if (!target->names.empty()) return storage_error("rename", from, "Directory not empty");
    }
    if (from == to) return {};
    announce(DiskOperation::kRename, from);
    const std::uint64_t group = disk_.next_group_++;
    disk_.unlink(old_parent, old_name, group);
    disk_.link(new_parent, new_name, node, group);
    return life_->alive ? Result<void>() : dead("rename", from);
  }

  Result<void> remove(const std::string& path) override {
    if (!life_->alive) return dead("remove", path);
    const Disk::NodePtr node = disk_.find(path);
    if (node == nullptr) return not_found("remove", path);
    if (!node->names.empty()) return storage_error("remove", path, "Directory not empty");
    announce(DiskOperation::kRemove, path);
    std::string name;
    const Disk::NodePtr parent = disk_.parent_of(path, name);
    disk_.used_bytes_ -= node->live.size();
    node->linked = false;
    disk_.unlink(parent, name, disk_.next_group_++);
    return life_->alive ? Result<void>() : dead("remove", path);
  }

  Result<void> remove_recursively(const std::string& path) override {
    const Disk::NodePtr node = disk_.find(path);
    if (node == nullptr) return not_found("remove", path);
    if (node->directory) {
      ASSIGN_OR_RETURN(const auto names, list(path));
      for (const std::string& name : names) RETURN_IF_ERROR(remove_recursively(path + "/" + name));
    }
    return remove(path);
  }

  Result<void> sync_directory(const std::string& path) override {
    if (!life_->alive) return dead("sync", path);
    const Disk::NodePtr node = disk_.find(path);
    if (node == nullptr) return not_found("sync", path);
    announce(DiskOperation::kSyncDirectory, path);
    if (!life_->alive) return dead("sync", path);
    Scheduler& scheduler = disk_.scheduler_;
    scheduler.charge(
        scheduler.between(disk_.behaviour_.min_sync_latency, disk_.behaviour_.max_sync_latency));
    if (scheduler.chance(disk_.behaviour_.sync_failure)) {
      return storage_error("sync", path, "Input/output error");
    }
    disk_.sync_names(*node);
    return {};
  }

  Result<std::unique_ptr<File>> lock(const std::string& path) override {
    if (!life_->alive) return dead("lock", path);
    const auto held = disk_.locks_.find(path);
    if (held != disk_.locks_.end()) {
      if (const auto holder = held->second.lock(); holder != nullptr && holder->alive) {
        return Error{ErrorCode::kKafkaStorageError, path + " is locked by another process"};
      }
    }
    ASSIGN_OR_RETURN(auto file, open_file(path, OpenMode::kCreate));
    disk_.locks_[path] = life_;
    file->hold_lock();
    return std::unique_ptr<File>(std::move(file));
  }

 private:
  void announce(DiskOperation operation, const std::string& path) {
    disk_.scheduler_.charge(disk_.behaviour_.write_latency);
    if (disk_.on_operation_) disk_.on_operation_(operation, path);
  }

  Result<std::unique_ptr<SimFile>> open_file(const std::string& path, OpenMode mode) {
    if (!life_->alive) return dead("open", path);
    Disk::NodePtr node = disk_.find(path);
    if (node != nullptr && node->directory) return storage_error("open", path, "Is a directory");
    if (node != nullptr && mode == OpenMode::kCreateNew) {
      return storage_error("open", path, "File exists");
    }
    if (node == nullptr) {
      if (mode == OpenMode::kRead || mode == OpenMode::kReadWrite) return not_found("open", path);
      std::string name;
      const Disk::NodePtr parent = disk_.parent_of(path, name);
      if (parent == nullptr) return not_found("open", path);
      announce(DiskOperation::kCreate, path);
      node = std::make_shared<Disk::Node>(false);
      node->modified = wall_time(disk_.scheduler_);
      disk_.link(parent, name, node, disk_.next_group_++);
      if (!life_->alive) return dead("open", path);
    }
    return std::make_unique<SimFile>(disk_, life_, path, std::move(node));
  }

  Disk& disk_;
  const std::shared_ptr<Life> life_;
};

std::unique_ptr<FileSystem> Disk::mount(std::shared_ptr<Life> life) {
  return std::make_unique<SimFileSystem>(*this, std::move(life));
}

}  // namespace broker::io::sim
