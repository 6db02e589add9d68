// Threads: a loop over tasks that all cores take part in.
//
// By default a pool of our own: workers that wait for the next loop in a short spin and then sleep. Beside a library
// that has a pool of its own (torch's OpenMP) two pools would wait for each other's cores, so its `GOMP_parallel` can be
// lent to us instead: same threads, no second spin.
#pragma once
#include <atomic>
#include <cstdint>

namespace hanlin {

using Task = void (*)(void* context, int64_t number);
using Lent = void (*)(void (*body)(void*), void* data, unsigned threads, unsigned flags);

void set_threads(int count);
int threads();
void lend(Lent parallel);  // nullptr: the pool of our own again

// Call task(context, 0) … task(context, count - 1), each once, in no order, and wait for all.
void for_each(int64_t count, Task task, void* context);

template <typename F>
void for_each(int64_t count, const F& body) {
    for_each(count, [](void* context, int64_t number) { (*static_cast<const F*>(context))(number); },
             const_cast<F*>(&body));
}

}  // namespace hanlin
