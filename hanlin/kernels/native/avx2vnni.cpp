// AVX2 with VNNI, 32 products of bytes an instruction: twice, as processors have it beside AVX2 or as a part of AVX512.
#include <cstring>

#include "plan.h"
#include "target.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define DOTS(DOT)                                                                                                   \
    inline Ints start8(int32_t sum) { return alike(-128 * sum); }                                                   \
    inline Ints start4(int32_t sum) { return alike(-8 * sum); }                                                     \
    inline Ints dot8(Ints sums, Bytes w, Four x) { return {DOT(sums.a, w.a, x), DOT(sums.b, w.b, x)}; }             \
    inline Ints dot4(Ints sums, Bytes w, Four x) { return dot8(sums, w, x); }

#if HANLIN_HAS_AVXVNNI
BEGIN_TARGET("avx2,fma,f16c,avxvnni")
namespace hanlin {
namespace avx2vnni {
#include "eight.h"
DOTS(_mm256_dpbusd_avx_epi32)
#include "tile.h"

#include "body.h"

#include "floats.h"

#include "attend.h"
}  // namespace avx2vnni
const Path AVX2VNNI{"avx2vnni", &avx2vnni::FLOATS, avx2vnni::quantise, avx2vnni::multiply, avx2vnni::pack, avx2vnni::read};
}  // namespace hanlin
END_TARGET
#undef UNROLLED
#endif

BEGIN_TARGET("avx2,fma,f16c,avx512f,avx512vl,avx512vnni")
namespace hanlin {
namespace avx2vnni_of_avx512 {
#include "eight.h"
DOTS(_mm256_dpbusd_epi32)
#include "tile.h"

#include "body.h"

#include "floats.h"

#include "attend.h"
}  // namespace avx2vnni_of_avx512
const Path AVX2VNNI_OF_AVX512{"avx2vnni", &avx2vnni_of_avx512::FLOATS, avx2vnni_of_avx512::quantise, avx2vnni_of_avx512::multiply,
                              avx2vnni_of_avx512::pack, avx2vnni_of_avx512::read};
}  // namespace hanlin
END_TARGET
#endif
