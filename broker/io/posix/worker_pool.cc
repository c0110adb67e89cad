#include "broker/io/posix/worker_pool.h"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace broker::io::posix {
namespace {

class ThreadPool final : public WorkerPool {
 public:
  explicit ThreadPool(std::size_t threads) {
    for (std::size_t i = 0; i < threads; ++i)
      threads_.emplace_back([this, i] {
        pthread_setname_np(pthread_self(), ("worker-" + std::to_string(i)).c_str());
        work();
      });
  }

  ~ThreadPool() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  void run(Strand& home, Task work, Task done) override {
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back({&home, std::move(work), std::move(done)});
    }
    wake_.notify_one();
  }

 private:
  struct Item {
    Strand* home;
    Task work;
    Task done;
  };

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      Item item = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      item.work();
      item.work = nullptr;  // dies before `done` can run on another thread
      if (item.done) item.home->post(std::move(item.done));
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Item> queue_;  // guarded by mutex_
  bool stopping_ = false;   // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<WorkerPool> make_worker_pool(std::size_t threads) {
  return std::make_unique<ThreadPool>(std::max<std::size_t>(1, threads));
}

}  // namespace broker::io::posix
