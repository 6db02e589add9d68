// What Python calls: plain C, sizes in elements, memory of the caller's.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <iterator>

#include "rows.h"
#include "threads.h"

using namespace hanlin;

namespace {

constexpr int64_t COLUMNS = 256, ROWS = 192;  // of a task: 256 × 576 weights and as many rows stay in a core's cache

const Path* const PATHS[] = {
#if defined(__x86_64__)
    &AVX512VNNI, &AVX2,
#endif
    &PORTABLE};

bool is_here(const Path* path) {
#if defined(__x86_64__)
    if (path == &AVX512VNNI)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512vnni");
    if (path == &AVX2) return __builtin_cpu_supports("avx2");
#endif
    return true;
}

const Path* best() {
    return *std::find_if(std::begin(PATHS), std::end(PATHS), is_here);
}

std::atomic<const Path*> chosen{nullptr};

const Path& path() {
    const Path* found = chosen.load(std::memory_order_relaxed);
    if (!found) chosen.store(found = best());
    return *found;
}

}  // namespace

#if defined(_WIN32)
#define DOOR extern "C" __declspec(dllexport)
#else
#define DOOR extern "C" __attribute__((visibility("default")))
#endif

DOOR const char* hanlin_path() { return path().name; }

// The path of that name from now on, or the best for ""; 1: there is no such path, 2: this processor has it not.
DOOR int hanlin_choose(const char* name) {
    if (!*name) return chosen.store(best()), 0;
    for (const Path* one : PATHS)
        if (!std::strcmp(one->name, name)) {
            if (!is_here(one)) return 2;
            chosen.store(one);
            return 0;
        }
    return 1;
}

DOOR void hanlin_set_threads(int count) { set_threads(count); }

DOOR void hanlin_lend(void* parallel) { lend(reinterpret_cast<Lent>(parallel)); }

DOOR void hanlin_pack(const float* x, int64_t stride, int across, int64_t outputs, int64_t inputs, int8_t* codes,
                      float* scales, int32_t* offsets) {
    const Path& by = path();
    for_each(filled(outputs, LANES) / LANES, [&](int64_t block) {
        by.pack(x, stride, across, outputs, inputs, block, block + 1, codes, scales, offsets);
    });
}

DOOR void hanlin_quantise(const float* x, int64_t stride, int64_t rows, int64_t inputs, uint8_t* codes,
                          float* scales) {
    const Path& by = path();
    const int64_t wide = filled(inputs, QUAD), each = std::max<int64_t>(1, (1 << 16) / std::max<int64_t>(1, inputs));
    for_each((rows + each - 1) / each, [&](int64_t part) {
        const int64_t begin = part * each, here = std::min(each, rows - begin);
        by.quantise(x + begin * stride, stride, here, inputs, codes + begin * wide, scales + begin);
    });
}

DOOR void hanlin_multiply(const int8_t* weights, const float* scales, const int32_t* offsets, int64_t outputs,
                          int64_t inputs, const uint8_t* codes, const float* row_scales, int64_t rows, float* out,
                          int64_t stride) {
    const Path& by = path();
    const Matrix w{weights, scales, offsets, outputs, inputs};
    const int64_t wide = filled(outputs, LANES);
    // One row: as many tasks as threads can share evenly, each a run of columns that streams from memory.
    const int64_t columns = rows > 1 ? COLUMNS : std::max<int64_t>(64, filled(wide / (4 * threads()) + 1, 64));
    const int64_t across = (wide + columns - 1) / columns, down = (rows + ROWS - 1) / ROWS;
    for_each(across * down, [&](int64_t task) {
        const int64_t from = task % across * columns, begin = task / across * ROWS;
        by.multiply(w, codes, row_scales, begin, std::min(begin + ROWS, rows), from, std::min(from + columns, wide),
                    out, stride);
    });
}
