// Any processor.
#include <cstring>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "plan.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Weights are read four to a word, the first in its lowest byte."
#endif

namespace hanlin {
namespace portable {

constexpr int ROWS_AT_ONCE = 2, BLOCKS_AT_ONCE = 1, GROUPED_ROWS = 2, GROUPED_BLOCKS = 1, BLOCKS_OF_ONE = 1;

// Vectors of 16 bytes, which any processor has. Bytes are multiplied as 16 bits, where 255 × 127 has room.
typedef int32_t Words __attribute__((vector_size(16)));
typedef uint32_t Bits __attribute__((vector_size(16)));
typedef int16_t Shorts __attribute__((vector_size(16)));

struct Ints { Words of[4]; };
struct Floats { float of[16]; };
struct Bytes { Shorts even[4], odd[4]; };
struct Four { Shorts even, odd; };
#define EACH for (int i = 0; i < 16; ++i)
#define QUARTER for (int i = 0; i < 4; ++i)

// a₀b₀ + a₁b₁, a₂b₂ + a₃b₃ …
inline Words pairs(Shorts a, Shorts b) {
#if defined(__SSE2__)
    return (Words)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
    const Bits both = (Bits)(a * b);
    return ((Words)(both << 16) >> 16) + ((Words)both >> 16);
#endif
}
inline Ints alike(int32_t x) {
    const Words all = {x, x, x, x};
    return {{all, all, all, all}};
}
inline Ints start8(int32_t sum) { return alike(-128 * sum); }
inline Ints start4(int32_t sum) { return alike(-8 * sum); }
inline void apart(Bits four, Shorts& even, Shorts& odd) {
    even = (Shorts)(four & 0x00FF00FFu);
    odd = (Shorts)(four >> 8 & 0x00FF00FFu);
}
inline Bytes bytes(const uint8_t* from) {
    Bytes y;
    QUARTER {
        Bits four;
        std::memcpy(&four, from + 16 * i, 16);
        apart(four, y.even[i], y.odd[i]);
    }
    return y;
}
inline void halves(const uint8_t* from, Bytes& low, Bytes& high) {
    QUARTER {
        Bits four;
        std::memcpy(&four, from + 16 * i, 16);
        apart(four & 0x0F0F0F0Fu, low.even[i], low.odd[i]);
        apart(four >> 4 & 0x0F0F0F0Fu, high.even[i], high.odd[i]);
    }
}
inline Shorts both(int16_t a, int16_t b) {
    const Shorts all = {a, b, a, b, a, b, a, b};
    return all;
}
inline Four four(const int8_t* x) { return {both(x[0], x[2]), both(x[1], x[3])}; }
inline Ints dot8(Ints sums, const Bytes& w, const Four& x) {
    QUARTER sums.of[i] += pairs(w.even[i], x.even) + pairs(w.odd[i], x.odd);
    return sums;
}
inline Ints dot4(Ints sums, const Bytes& w, const Four& x) { return dot8(sums, w, x); }
inline Floats floats(const Ints& x) {
    Floats y;
    EACH y.of[i] = static_cast<float>(x.of[i / 4][i % 4]);
    return y;
}
inline Floats all(float x) { Floats y; EACH y.of[i] = x; return y; }
inline Floats times(Floats x, const Floats& y) { EACH x.of[i] *= y.of[i]; return x; }
inline Floats added(Floats x, const Floats& y) { EACH x.of[i] += y.of[i]; return x; }
// In two steps where the others take one: what is done in floats differs in its last bits.
inline Floats fused(Floats sum, const Floats& x, const Floats& y) { EACH sum.of[i] += x.of[i] * y.of[i]; return sum; }
inline Floats greater(Floats x, const Floats& y) { EACH x.of[i] = x.of[i] > y.of[i] ? x.of[i] : y.of[i]; return x; }
inline Floats some(const float* from, int count) {
    Floats y = {};
    std::memcpy(y.of, from, 4 * count);
    return y;
}
inline void keep(float* to, const Floats& x, int count) { std::memcpy(to, x.of, 4 * count); }
// A float16 without infinities: its bits, moved to those of a float32, are 2^112 too small.
inline Floats halves_of_floats(const uint16_t* from) {
    Floats y;
    EACH {
        const uint32_t moved = (from[i] & 0x7FFFu) << 13 | (from[i] & 0x8000u) << 16;
        float x;
        std::memcpy(&x, &moved, 4);
        y.of[i] = x * 0x1p112f;
    }
    return y;
}

#include "tile.h"

#include "body.h"

#include "floats.h"

#include "attend.h"
}  // namespace portable
const Path PORTABLE{"portable", &portable::FLOATS, portable::quantise, portable::multiply, portable::pack, portable::read};
}  // namespace hanlin
