// What Python calls: plain C, sizes in elements, memory of the caller's.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <iterator>
#include <vector>
#include <iterator>
#include <vector>

#include "rows.h"
#include "target.h"
#include "threads.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

using namespace hanlin;

namespace {

constexpr int64_t COLUMNS = 256, ROWS = 192;  // of a task: 256 × 576 weights and as many rows stay in a core's cache
constexpr int64_t BETWEEN = 8 << 20;  // bytes of rows at a time

#if defined(__x86_64__)
bool has_f16c() {
    unsigned a, b, c = 0, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c >> 29 & 1);
}

bool has_avx2() { return __builtin_cpu_supports("avx2") && has_f16c(); }

bool has_avx2vnni() {
    unsigned a = 0, b, c, d;
    return has_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}

bool has_avx512vnni() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni") && has_avx2();
}
#endif

struct Known {
    const Path* path;
    bool (*is_here)();
};

// Best first. One name may stand for two: the first that is here counts.
const Known PATHS[] = {
#if defined(__x86_64__)
    {&AVX512VNNI, has_avx512vnni},
#if HANLIN_HAS_AVXVNNI
    {&AVX2VNNI, has_avx2vnni},
#endif
    {&AVX2VNNI_OF_AVX512, has_avx512vnni},
    {&AVX2, has_avx2},
#endif
    {&PORTABLE, [] { return true; }}};

const Path* best() {
    return std::find_if(std::begin(PATHS), std::end(PATHS), [](const Known& one) { return one.is_here(); })->path;
}

std::atomic<const Path*> chosen{nullptr};

const Path& path() {
    const Path* found = chosen.load(std::memory_order_relaxed);
    if (!found) chosen.store(found = best());
    return *found;
}

void quantise(const float* x, int64_t stride, const Rows& rows) {
    const Path& by = path();
    const int64_t each = std::max<int64_t>(1, (1 << 16) / std::max<int64_t>(1, rows.inputs));
    for_each((rows.count + each - 1) / each, [&](int64_t part) {
        by.quantise(x, stride, rows, part * each, std::min(part * each + each, rows.count));
    });
}

void multiply(const Matrix& w, const Rows& x, const Out& out) {
    const Path& by = path();
    const int64_t wide = filled(w.outputs, LANES);
    // One row: as many tasks as threads can share evenly, each a run of columns that streams from memory.
    const int64_t columns = x.count > 1 ? COLUMNS : std::max<int64_t>(64, filled(wide / (4 * threads()) + 1, 64));
    const int64_t across = (wide + columns - 1) / columns, down = (x.count + ROWS - 1) / ROWS;
    for_each(across * down, [&](int64_t task) {
        const int64_t from = task % across * columns, begin = task / across * ROWS;
        by.multiply(w, x, begin, std::min(begin + ROWS, x.count), from, std::min(from + columns, wide), out);
    });
}

}  // namespace

#if defined(_WIN32)
#define DOOR extern "C" __declspec(dllexport)
#else
#define DOOR extern "C" __attribute__((visibility("default")))
#endif

DOOR const char* hanlin_path() { return path().name; }

// The path of that name from now on, of none the best; 1: there is no such path, 2: this processor has it not.
DOOR int hanlin_choose(const char* name) {
    if (!*name) return chosen.store(best()), 0;
    int said = 1;
    for (const Known& one : PATHS) {
        if (std::strcmp(one.path->name, name)) continue;
        if (one.is_here()) {
            chosen.store(one.path);
            return 0;
        }
        said = 2;
    }
    return said;
}

DOOR void hanlin_set_threads(int count) { set_threads(count); }

DOOR void hanlin_lend(void* parallel) { lend(reinterpret_cast<Lent>(parallel)); }

DOOR void hanlin_pack(const float* x, int64_t stride, int across, int64_t outputs, int64_t inputs, uint8_t* codes,
                      float* scales) {
    const Path& by = path();
    // Across, 16 columns are a cache line of each row: more at a time, so that a page is not left at once.
    const int64_t blocks = filled(outputs, LANES) / LANES, each = across ? 4 : 1;
    for_each((blocks + each - 1) / each, [&](int64_t part) {
        by.pack(x, stride, across, outputs, inputs, part * each, std::min(part * each + each, blocks), codes, scales);
    });
}

// Codes that are there already, a row to each output: of eight bits around 0, of four from 0 to 15 (anything above is
// cut). `rest` is what an output is filled up with.
DOOR void hanlin_lay(const uint8_t* from, int64_t outputs, int64_t inputs, int bits, int rest, uint8_t* codes) {
    const int64_t wide = filled(inputs, UNIT), bytes = wide * LANES * bits / 8;
    for_each(filled(outputs, LANES) / LANES, [&](int64_t block) {
        uint8_t* to = codes + block * bytes;
        std::memset(to, 0, bytes);
        for (int64_t lane = 0; lane < LANES; ++lane) {
            const int64_t output = block * LANES + lane;
            for (int64_t i = 0; i < wide; ++i) {
                const bool is_there = output < outputs && i < inputs;
                const uint8_t code = is_there ? from[output * inputs + i] : static_cast<uint8_t>(rest);
                const int64_t place = lane * QUAD + i % QUAD;
                if (bits == 8)
                    to[i / QUAD * 64 + place] = code ^ 128;
                else
                    to[i / 8 * 64 + place] |= static_cast<uint8_t>((code & 15) << (i % 8 < QUAD ? 0 : 4));
            }
        }
    });
}

DOOR void hanlin_quantise(const float* x, int64_t stride, const Rows* rows) { quantise(x, stride, *rows); }

DOOR void hanlin_multiply(const Matrix* w, const Rows* x, float* place, int64_t stride, const float* bias) {
    multiply(*w, *x, Out{place, stride, bias});
}

// Both in one, some rows after others: what lies between is kept for the next call.
DOOR void hanlin_apply(const Matrix* w, const float* x, int64_t stride, int64_t count, float* place,
                       int64_t out_stride, const float* bias) {
    static thread_local std::vector<unsigned char> between;
    const int64_t codes = filled(w->inputs, UNIT), sums = (codes / UNIT + 1) * 4;
    const int64_t each = std::max<int64_t>(1, std::min(count, BETWEEN / (codes + sums + 4)));
    if (static_cast<int64_t>(between.size()) < each * (codes + sums + 4)) between.resize(each * (codes + sums + 4));
    for (int64_t row = 0; row < count; row += each) {
        unsigned char* at = between.data();
        const Rows rows{reinterpret_cast<int8_t*>(at), reinterpret_cast<float*>(at + each * codes),
                        reinterpret_cast<int32_t*>(at + each * (codes + 4)), std::min(each, count - row), w->inputs};
        quantise(x + row * stride, stride, rows);
        multiply(*w, rows, Out{place + row * out_stride, out_stride, bias});
    }
}
