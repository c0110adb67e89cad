#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace broker {

/// An ordered map whose copy is O(1) and whose change costs O(log n) new nodes, the rest being
/// shared with the copies (an AVL tree with path copying). Nodes and entries never change, so
/// copies may be read from any thread while another copy goes on. Pointers to values and iterators
/// stay valid as long as the copy they came from lives and is not changed.
template <class K, class V, class Less = std::less<>>
class PersistentMap {
  struct Node;
  using NodePtr = std::shared_ptr<const Node>;

 public:
  using Entry = std::pair<const K, V>;

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  template <class Q>
  const V* find(const Q& key) const {
    const Node* node = root_.get();
    while (node != nullptr) {
      if (less(key, node->key())) {
        node = node->left.get();
      } else if (less(node->key(), key)) {
        node = node->right.get();
      } else {
        return &node->entry->second;
      }
    }
    return nullptr;
  }
  template <class Q>
  bool contains(const Q& key) const {
    return find(key) != nullptr;
  }

  void set(K key, V value) {
    bool added = false;
    root_ = insert(root_, std::make_shared<const Entry>(std::move(key), std::move(value)), added);
    if (added) ++size_;
  }
  /// False when there was no such key.
  template <class Q>
  bool erase(const Q& key) {
    if (find(key) == nullptr) return false;
    root_ = remove(root_, key);
    --size_;
    return true;
  }
  void clear() { *this = PersistentMap(); }

  class iterator {
   public:
    using value_type = Entry;
    using reference = const Entry&;
    using pointer = const Entry*;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::forward_iterator_tag;

    iterator() = default;
    reference operator*() const { return *path_.back()->entry; }
    pointer operator->() const { return path_.back()->entry.get(); }
    iterator& operator++() {
      const Node* node = path_.back();
      path_.pop_back();
      push_left(node->right.get());
      return *this;
    }
    iterator operator++(int) {
      iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const iterator& other) const { return top() == other.top(); }

   private:
    friend class PersistentMap;
    const Node* top() const { return path_.empty() ? nullptr : path_.back(); }
    void push_left(const Node* node) {
      for (; node != nullptr; node = node->left.get()) path_.push_back(node);
    }
    std::vector<const Node*> path_;  // the node at the back, and its ancestors still to come
  };

  iterator begin() const {
    iterator it;
    it.push_left(root_.get());
    return it;
  }
  iterator end() const { return iterator(); }
  /// The first entry whose key is not less than `key`.
  template <class Q>
  iterator lower_bound(const Q& key) const {
    iterator it;
    const Node* node = root_.get();
    while (node != nullptr) {
      if (less(node->key(), key)) {
        node = node->right.get();
      } else {
        it.path_.push_back(node);
        node = node->left.get();
      }
    }
    return it;
  }

  /// Calls `changed(key, before, after)` for each key that differs, in order; one of the pointers
  /// is null for what was added or removed. Subtrees that both share are skipped by identity of
  /// their entries only, so the cost is O(n) comparisons of pointers.
  template <class F>
  static void diff(const PersistentMap& from, const PersistentMap& to, F changed) {
    if (from.root_ == to.root_) return;
    auto a = from.begin();
    auto b = to.begin();
    while (a != from.end() || b != to.end()) {
      if (b == to.end() || (a != from.end() && less(a->first, b->first))) {
        changed(a->first, &a->second, static_cast<const V*>(nullptr));
        ++a;
      } else if (a == from.end() || less(b->first, a->first)) {
        changed(b->first, static_cast<const V*>(nullptr), &b->second);
        ++b;
      } else {
        if (&*a != &*b && !(a->second == b->second)) changed(a->first, &a->second, &b->second);
        ++a;
        ++b;
      }
    }
  }

  bool operator==(const PersistentMap& other) const {
    return root_ == other.root_ ||
           (size_ == other.size_ && std::equal(begin(), end(), other.begin()));
  }

 private:
  using EntryPtr = std::shared_ptr<const Entry>;
  struct Node {
    EntryPtr entry;
    NodePtr left;
    NodePtr right;
    int height = 1;
    const K& key() const { return entry->first; }
  };

  template <class A, class B>
  static bool less(const A& a, const B& b) {
    return Less{}(a, b);
  }
  static int height(const NodePtr& node) { return node ? node->height : 0; }
  static NodePtr make(EntryPtr entry, NodePtr left, NodePtr right) {
    const int h = 1 + std::max(height(left), height(right));
    return std::make_shared<const Node>(
        Node{std::move(entry), std::move(left), std::move(right), h});
  }
  /// As make, for children whose heights differ by at most two.
  static NodePtr balance(EntryPtr entry, NodePtr left, NodePtr right) {
    if (height(left) > height(right) + 1) {
      if (height(left->left) >= height(left->right))
        return make(left->entry, left->left, make(std::move(entry), left->right, std::move(right)));
      const NodePtr middle = left->right;
      return make(middle->entry, make(left->entry, left->left, middle->left),
                  make(std::move(entry), middle->right, std::move(right)));
    }
    if (height(right) > height(left) + 1) {
      if (height(right->right) >= height(right->left))
        return make(right->entry, make(std::move(entry), std::move(left), right->left),
                    right->right);
      const NodePtr middle = right->left;
      return make(middle->entry, make(std::move(entry), std::move(left), middle->left),
                  make(right->entry, middle->right, right->right));
    }
    return make(std::move(entry), std::move(left), std::move(right));
  }
  static NodePtr insert(const NodePtr& node, EntryPtr entry, bool& added) {
    if (!node) {
      added = true;
      return make(std::move(entry), nullptr, nullptr);
    }
    if (less(entry->first, node->key()))
      return balance(node->entry, insert(node->left, std::move(entry), added), node->right);
    if (less(node->key(), entry->first))
      return balance(node->entry, node->left, insert(node->right, std::move(entry), added));
    return make(std::move(entry), node->left, node->right);
  }
  static NodePtr remove_first(const NodePtr& node, EntryPtr& removed) {
    if (!node->left) {
      removed = node->entry;
      return node->right;
    }
    return balance(node->entry, remove_first(node->left, removed), node->right);
  }
  template <class Q>
  static NodePtr remove(const NodePtr& node, const Q& key) {
    if (less(key, node->key())) return balance(node->entry, remove(node->left, key), node->right);
    if (less(node->key(), key)) return balance(node->entry, node->left, remove(node->right, key));
    if (!node->left) return node->right;
    if (!node->right) return node->left;
    EntryPtr next;
    NodePtr right = remove_first(node->right, next);
    return balance(std::move(next), node->left, std::move(right));
  }

  NodePtr root_;
  std::size_t size_ = 0;
};

}  // namespace broker
