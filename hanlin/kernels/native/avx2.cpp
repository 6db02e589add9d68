// AVX2 alone: products of bytes are added in pairs to 16 bits, which must not overflow.
#include <cstring>

#include "plan.h"
#include "target.h"

#if defined(__x86_64__)
#include <immintrin.h>
BEGIN_TARGET("avx2,fma,f16c")

namespace hanlin {
namespace avx2 {

#include "eight.h"

// 255 × 127 × 2 would overflow. Weights are taken as signed, their sign is given to the row's bytes, and the largest pair
// is 128 × 127 × 2 = 32512. So nothing is to be taken off the sums of eight bits.
inline __m256i pairs8(__m256i w, __m256i x) {
    const __m256i is = _mm256_xor_si256(w, _mm256_set1_epi8(-128));
    return _mm256_maddubs_epi16(_mm256_abs_epi8(is), _mm256_sign_epi8(x, is));
}
inline __m256i summed(__m256i sums, __m256i pairs) {
    return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
inline Ints start8(int32_t) { return alike(0); }
inline Ints start4(int32_t sum) { return alike(-8 * sum); }
inline Ints dot8(Ints sums, Bytes w, Four x) { return {summed(sums.a, pairs8(w.a, x)), summed(sums.b, pairs8(w.b, x))}; }
inline Ints dot4(Ints sums, Bytes w, Four x) {
    return {summed(sums.a, _mm256_maddubs_epi16(w.a, x)), summed(sums.b, _mm256_maddubs_epi16(w.b, x))};
}

#include "tile.h"

#include "body.h"

#include "floats.h"

#include "attend.h"
}  // namespace avx2
const Path AVX2{"avx2", &avx2::FLOATS, avx2::quantise, avx2::multiply, avx2::pack, avx2::read};
}  // namespace hanlin
END_TARGET
#endif
