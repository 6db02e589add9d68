// AVX2: the plain loops, eight floats at a time.
#include <algorithm>
#include <cstring>

#include "rows.h"

#if defined(__x86_64__)
#pragma GCC target("avx2")

namespace hanlin {
namespace avx2 {
#include "plain.h"

#include "body.h"
}  // namespace avx2
const Path AVX2{"avx2", avx2::quantise, avx2::multiply, avx2::pack};
}  // namespace hanlin
#endif
