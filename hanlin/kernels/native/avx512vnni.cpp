// AVX512-VNNI: 64 products of bytes an instruction, added up in sixteen sums.
#include <algorithm>
#include <cstring>

#include "rows.h"

#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#include <immintrin.h>

namespace hanlin {
namespace avx512vnni {

// 6 × 4 sums, 4 vectors of weights and one of a row's bytes: 29 of the 32 registers.
// Unrolled before anything else is done to them: only then are the sums kept in registers.
#define UNROLLED _Pragma("GCC unroll 8")

constexpr int ROWS_AT_ONCE = 6, BLOCKS_AT_ONCE = 4;

template <int ROWS, int BLOCKS>
inline void sized_tile(const Matrix& w, const uint8_t* codes, const float* scales, int64_t column, float* out,
                       int64_t stride) {
    const int64_t wide = filled(w.inputs, QUAD);
    const int8_t* weights = w.codes + column * wide;
    __m512i sums[ROWS][BLOCKS];
    UNROLLED for (int row = 0; row < ROWS; ++row)
        UNROLLED for (int block = 0; block < BLOCKS; ++block) sums[row][block] = _mm512_setzero_si512();
    for (int64_t i = 0; i < wide; i += QUAD) {
        __m512i quad[BLOCKS];
        UNROLLED for (int block = 0; block < BLOCKS; ++block)
            quad[block] = _mm512_loadu_si512(weights + block * LANES * wide + i * LANES);
        UNROLLED for (int row = 0; row < ROWS; ++row) {
            int32_t four;
            std::memcpy(&four, codes + row * wide + i, 4);
            const __m512i x = _mm512_set1_epi32(four);
            UNROLLED for (int block = 0; block < BLOCKS; ++block)
                sums[row][block] = _mm512_dpbusd_epi32(sums[row][block], x, quad[block]);
        }
    }
    UNROLLED for (int block = 0; block < BLOCKS; ++block) {
        const int64_t first = column + block * LANES;
        const int64_t here = std::min(LANES, w.outputs - first);
        const __mmask16 kept = here >= LANES ? 0xFFFF : static_cast<__mmask16>((1u << here) - 1);
        const __m512i offsets = _mm512_loadu_si512(w.offsets + first);
        const __m512 each = _mm512_loadu_ps(w.scales + first);
        UNROLLED for (int row = 0; row < ROWS; ++row) {
            const __m512 product = _mm512_cvtepi32_ps(_mm512_sub_epi32(sums[row][block], offsets));
            const __m512 scaled = _mm512_mul_ps(_mm512_mul_ps(product, each), _mm512_set1_ps(scales[row]));
            _mm512_mask_storeu_ps(out + row * stride + first, kept, scaled);
        }
    }
}

template <int ROWS>
inline void tile_of(const Matrix& w, const uint8_t* codes, const float* scales, int64_t column, int blocks,
                    float* out, int64_t stride) {
    switch (blocks) {
        case 1: return sized_tile<ROWS, 1>(w, codes, scales, column, out, stride);
        case 2: return sized_tile<ROWS, 2>(w, codes, scales, column, out, stride);
        case 3: return sized_tile<ROWS, 3>(w, codes, scales, column, out, stride);
        default: return sized_tile<ROWS, 4>(w, codes, scales, column, out, stride);
    }
}

void tile(const Matrix& w, const uint8_t* codes, const float* scales, int rows, int64_t column, int blocks, float* out,
          int64_t stride) {
    switch (rows) {
        case 1: return tile_of<1>(w, codes, scales, column, blocks, out, stride);
        case 2: return tile_of<2>(w, codes, scales, column, blocks, out, stride);
        case 3: return tile_of<3>(w, codes, scales, column, blocks, out, stride);
        case 4: return tile_of<4>(w, codes, scales, column, blocks, out, stride);
        case 5: return tile_of<5>(w, codes, scales, column, blocks, out, stride);
        default: return tile_of<6>(w, codes, scales, column, blocks, out, stride);
    }
}

#include "body.h"
}  // namespace avx512vnni
const Path AVX512VNNI{"avx512vnni", avx512vnni::quantise, avx512vnni::multiply, avx512vnni::pack};
}  // namespace hanlin
#endif
