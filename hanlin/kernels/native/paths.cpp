#include "paths.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <iterator>

#include "target.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace hanlin {
namespace {

#if defined(__x86_64__)
bool has_f16c() {
    unsigned a, b, c = 0, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c >> 29 & 1);
}

bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c(); }

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

}  // namespace

const Path& path() {
    const Path* found = chosen.load(std::memory_order_relaxed);
    if (!found) chosen.store(found = best());
    return *found;
}

int choose(const char* name) {
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

}  // namespace hanlin
