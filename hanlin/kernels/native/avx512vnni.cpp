// AVX512-VNNI: 64 products of bytes an instruction, added up in sixteen sums.
#include <cstring>

#include "plan.h"
#include "target.h"

#if defined(__x86_64__)
#include <immintrin.h>
BEGIN_TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")

namespace hanlin {
namespace avx512vnni {

// 6 × 4 sums, 4 vectors of weights and one of a row's bytes: 29 of the 32 registers; with floats beside them 6 × 2.
constexpr int ROWS_AT_ONCE = 6, BLOCKS_AT_ONCE = 4, GROUPED_ROWS = 6, GROUPED_BLOCKS = 2, BLOCKS_OF_ONE = 4;

using Ints = __m512i;
using Floats = __m512;
using Bytes = __m512i;
using Four = __m512i;

inline Ints start8(int32_t sum) { return _mm512_set1_epi32(-128 * sum); }
inline Ints start4(int32_t sum) { return _mm512_set1_epi32(-8 * sum); }
inline Bytes bytes(const uint8_t* from) { return _mm512_loadu_si512(from); }
inline void halves(const uint8_t* from, Bytes& low, Bytes& high) {
    const __m512i both = bytes(from), mask = _mm512_set1_epi8(15);
    low = _mm512_and_si512(both, mask);
    high = _mm512_and_si512(_mm512_srli_epi16(both, 4), mask);
}
inline Four four(const int8_t* from) {
    int32_t quad;
    std::memcpy(&quad, from, 4);
    return _mm512_set1_epi32(quad);
}
inline Ints dot8(Ints sums, Bytes w, Four x) { return _mm512_dpbusd_epi32(sums, w, x); }
inline Ints dot4(Ints sums, Bytes w, Four x) { return _mm512_dpbusd_epi32(sums, w, x); }
inline Floats floats(Ints x) { return _mm512_cvtepi32_ps(x); }
inline Floats all(float x) { return _mm512_set1_ps(x); }
inline Floats times(Floats x, Floats y) { return _mm512_mul_ps(x, y); }
inline Floats added(Floats x, Floats y) { return _mm512_add_ps(x, y); }
inline Floats fused(Floats sum, Floats x, Floats y) { return _mm512_fmadd_ps(x, y, sum); }
inline Floats greater(Floats x, Floats y) { return _mm512_max_ps(x, y); }
inline __mmask16 first(int count) { return static_cast<__mmask16>((1u << count) - 1); }
inline Floats some(const float* from, int count) { return _mm512_maskz_loadu_ps(first(count), from); }
inline void keep(float* to, Floats x, int count) { _mm512_mask_storeu_ps(to, first(count), x); }
inline Floats halves_of_floats(const uint16_t* from) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}

#include "tile.h"

#include "body.h"

#include "floats.h"

#include "attend.h"
}  // namespace avx512vnni
const Path AVX512VNNI{"avx512vnni", &avx512vnni::FLOATS, avx512vnni::quantise, avx512vnni::multiply, avx512vnni::pack, avx512vnni::read};
}  // namespace hanlin
END_TARGET
#endif
