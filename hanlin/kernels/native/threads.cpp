#include "threads.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#ifndef _WIN32
#include <pthread.h>
#endif

namespace hanlin {
namespace {

constexpr auto SPIN = std::chrono::microseconds(40);  // longer than the gap between two products of a layer

inline void rest() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

// Until it is so, or for as long as is worth a spin; whether it is.
template <typename F>
bool spin_until(const F& is_so) {
    const auto end = std::chrono::steady_clock::now() + SPIN;
    do {
        for (int i = 0; i < 16; ++i) {
            if (is_so()) return true;
            rest();
        }
    } while (std::chrono::steady_clock::now() < end);
    return is_so();
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

// A loop is open to whoever comes while there is work; who comes late stays out and is not waited for, so that a sleeping
// or a displaced worker delays nobody. All of it is one number: the loop's in its high half, whether it is open, and how
// many are in it.
class Pool {
  public:
    explicit Pool(int workers) {
        for (int i = 0; i < workers; ++i) workers_.emplace_back([this] { live(); });
    }

    ~Pool() {
        publish(nullptr);
        for (auto& worker : workers_) worker.join();
    }

    void run(Loop& loop) {
        publish(&loop);
        loop.work();
        state_.fetch_and(~OPEN, std::memory_order_acq_rel);
        const auto is_empty = [this] { return (state_.load(std::memory_order_acquire) & INSIDE) == 0; };
        while (!spin_until(is_empty)) std::this_thread::yield();
    }

  private:
    static constexpr uint64_t LOOP = uint64_t{1} << 32, OPEN = uint64_t{1} << 31, INSIDE = OPEN - 1;

    void publish(Loop* loop) {
        loop_.store(loop, std::memory_order_relaxed);
        const uint64_t number = state_.load(std::memory_order_relaxed) / LOOP + 1;
        state_.store(number * LOOP | OPEN, std::memory_order_seq_cst);
        if (sleepers_.load(std::memory_order_seq_cst) == 0) return;
        { std::lock_guard<std::mutex> hold(lock_); }
        wake_.notify_all();
    }

    void live() {
        uint64_t seen = 0;
        for (;;) {
            const auto is_new = [&] { return state_.load(std::memory_order_seq_cst) / LOOP != seen; };
            if (!spin_until(is_new)) {
                std::unique_lock<std::mutex> hold(lock_);
                sleepers_.fetch_add(1, std::memory_order_seq_cst);
                wake_.wait(hold, is_new);
                sleepers_.fetch_sub(1, std::memory_order_relaxed);
            }
            uint64_t state = state_.load(std::memory_order_acquire);
            seen = state / LOOP;
            while ((state & OPEN) && state / LOOP == seen)
                if (state_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel)) {
                    Loop* loop = loop_.load(std::memory_order_relaxed);
                    if (!loop) return;
                    loop->work();
                    state_.fetch_sub(1, std::memory_order_release);
                    break;
                }
        }
    }

    std::mutex lock_;
    std::condition_variable wake_;
    std::atomic<uint64_t> state_{0};
    std::atomic<int> sleepers_{0};
    std::atomic<Loop*> loop_{nullptr};
    std::vector<std::thread> workers_;
};

std::mutex one_at_a_time;
Pool* pool = nullptr;
std::atomic<int> wanted{1};
std::atomic<Lent> lent{nullptr};

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
    if (const Lent parallel = lent) {
        parallel([](void* data) { static_cast<Loop*>(data)->work(); }, &loop, static_cast<unsigned>(wanted), 0);
        return;
    }
    std::unique_lock<std::mutex> hold(one_at_a_time, std::try_to_lock);
    if (!hold.owns_lock()) return loop.work();  // another thread of the program has the workers: alone is soonest
    if (!pool) pool = new Pool(wanted - 1);
    pool->run(loop);
}

}  // namespace hanlin
