// Sixteen lanes as two vectors of eight: what AVX2's paths have in common. Included by each inside a namespace of its own.

constexpr int ROWS_AT_ONCE = 4, BLOCKS_AT_ONCE = 1, GROUPED_ROWS = 2, GROUPED_BLOCKS = 1, BLOCKS_OF_ONE = 1;

struct Ints { __m256i a, b; };
struct Floats { __m256 a, b; };
using Bytes = Ints;
using Four = __m256i;

inline __m256i at(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }
inline Ints alike(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
inline Bytes bytes(const uint8_t* from) { return {at(from), at(from + 32)}; }
inline void halves(const uint8_t* from, Bytes& low, Bytes& high) {
    const __m256i mask = _mm256_set1_epi8(15), a = at(from), b = at(from + 32);
    low = {_mm256_and_si256(a, mask), _mm256_and_si256(b, mask)};
    high = {_mm256_and_si256(_mm256_srli_epi16(a, 4), mask), _mm256_and_si256(_mm256_srli_epi16(b, 4), mask)};
}
inline Four four(const int8_t* from) {
    int32_t quad;
    std::memcpy(&quad, from, 4);
    return _mm256_set1_epi32(quad);
}
inline Floats floats(Ints x) { return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }
inline Floats all(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
inline Floats times(Floats x, Floats y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
inline Floats added(Floats x, Floats y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
inline Floats fused(Floats sum, Floats x, Floats y) {
    return {_mm256_fmadd_ps(x.a, y.a, sum.a), _mm256_fmadd_ps(x.b, y.b, sum.b)};
}
inline Floats greater(Floats x, Floats y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
inline Floats some(const float* from, int count) {
    if (count == 16) return {_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)};
    alignas(32) float line[16] = {};
    std::memcpy(line, from, 4 * count);
    return {_mm256_load_ps(line), _mm256_load_ps(line + 8)};
}
inline void keep(float* to, Floats x, int count) {
    alignas(32) float line[16];
    float* place = count == 16 ? to : line;
    _mm256_storeu_ps(place, x.a);
    _mm256_storeu_ps(place + 8, x.b);
    if (count < 16) std::memcpy(to, line, 4 * count);
}
inline Floats halves_of_floats(const uint16_t* from) {
    const __m256i both = at(from);
    return {_mm256_cvtph_ps(_mm256_castsi256_si128(both)), _mm256_cvtph_ps(_mm256_extracti128_si256(both, 1))};
}
