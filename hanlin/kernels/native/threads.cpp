#include "threads.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#ifndef _WIN32
#include <pthread.h>
#endif

namespace hanlin {
namespace {

constexpr int SPINS = 2000;  // some tens of microseconds: longer than the gap between two products of a layer

inline void rest() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

struct Loop {
    Task task;
    void* context;
    int64_t count;
    std::atomic<int64_t> next{0};

    void work() {
        for (int64_t number; (number = next.fetch_add(1, std::memory_order_relaxed)) < count;) task(context, number);
    }
};

class Pool {
  public:
    explicit Pool(int workers) {
        for (int i = 0; i < workers; ++i) workers_.emplace_back([this] { live(); });
    }

    ~Pool() {
        {
            std::lock_guard<std::mutex> hold(lock_);
            over_ = true;
            round_.fetch_add(1);
        }
        wake_.notify_all();
        for (auto& worker : workers_) worker.join();
    }

    void run(Loop& loop) {
        left_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
        loop_ = &loop;
        {
            std::lock_guard<std::mutex> hold(lock_);
            round_.fetch_add(1, std::memory_order_release);
        }
        wake_.notify_all();
        loop.work();
        while (left_.load(std::memory_order_acquire)) rest();
    }

  private:
    void live() {
        uint64_t seen = 0;
        for (;;) {
            for (int i = 0; i < SPINS && round_.load(std::memory_order_acquire) == seen; ++i) rest();
            if (round_.load(std::memory_order_acquire) == seen) {
                std::unique_lock<std::mutex> hold(lock_);
                wake_.wait(hold, [&] { return round_.load(std::memory_order_acquire) != seen; });
            }
            ++seen;
            if (over_) return;
            loop_->work();
            left_.fetch_sub(1, std::memory_order_release);
        }
    }

    std::vector<std::thread> workers_;
    std::mutex lock_;
    std::condition_variable wake_;
    std::atomic<uint64_t> round_{0};
    std::atomic<int> left_{0};
    Loop* loop_ = nullptr;
    bool over_ = false;
};

std::mutex one_at_a_time;
Pool* pool = nullptr;
int wanted = 1;
Lent lent = nullptr;

// A forked child has none of its parent's threads, and the lock may have been held: both are made anew.
void forget() {
    pool = nullptr;
    new (&one_at_a_time) std::mutex;
}

#ifndef _WIN32
const int registered = pthread_atfork(nullptr, nullptr, forget);
#endif

}  // namespace

void set_threads(int count) {
    std::lock_guard<std::mutex> hold(one_at_a_time);
    if (count == wanted) return;
    delete pool;
    pool = nullptr;
    wanted = count;
}

int threads() { return wanted; }

void lend(Lent parallel) { lent = parallel; }

void for_each(int64_t count, Task task, void* context) {
    Loop loop{task, context, count};
    if (wanted <= 1 || count <= 1) return loop.work();
    if (lent) {
        lent([](void* data) { static_cast<Loop*>(data)->work(); }, &loop, static_cast<unsigned>(wanted), 0);
        return;
    }
    std::unique_lock<std::mutex> hold(one_at_a_time, std::try_to_lock);
    if (!hold.owns_lock()) return loop.work();  // another thread of the program has the workers: alone is soonest
    if (!pool) pool = new Pool(wanted - 1);
    pool->run(loop);
}

}  // namespace hanlin
