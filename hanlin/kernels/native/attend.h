// Attention: keys and values put into their blocks, and what some queries gather from a chunk of them. Included once by
// each path, inside a namespace of its own, after floats.h.

inline Floats wide(const float* from) { return some(from, 16); }
inline Floats wide(const uint16_t* from) {  // the upper halves of floats
    alignas(64) uint32_t line[16];
    for (int i = 0; i < 16; ++i) line[i] = static_cast<uint32_t>(from[i]) << 16;
    float x[16];
    std::memcpy(x, line, 64);
    return some(x, 16);
}
inline Floats wide(const int8_t* from) {
    alignas(64) float line[16];
    for (int i = 0; i < 16; ++i) line[i] = static_cast<float>(from[i]);
    return some(line, 16);
}

inline uint16_t upper_half(float x) {  // rounded to the nearest, ties to even; no number stays none
    const uint32_t bits = bits_of(x);
    if ((bits & NO_SIGN) > INFINITE) return static_cast<uint16_t>(bits >> 16 | 64);
    return static_cast<uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

void keep_position(const Cache& cache, unsigned char* head, int64_t slot, const float* key, const float* value) {
    const int64_t width = cache.head_width, step = cache.value_width();
    unsigned char *keys = head + cache.scales(), *values = keys + cache.key_bytes();
    if (cache.store == FLOAT32) {
        float *k = reinterpret_cast<float*>(keys) + slot, *v = reinterpret_cast<float*>(values) + slot * step;
        for (int64_t i = 0; i < width; ++i) k[i * BLOCK] = key[i];
        for (int64_t i = 0; i < width; ++i) v[i] = value[i];
    } else if (cache.store == BFLOAT16) {
        uint16_t *k = reinterpret_cast<uint16_t*>(keys) + slot, *v = reinterpret_cast<uint16_t*>(values) + slot * step;
        for (int64_t i = 0; i < width; ++i) k[i * BLOCK] = upper_half(key[i]);
        for (int64_t i = 0; i < width; ++i) v[i] = upper_half(value[i]);
    } else {
        float* scales = reinterpret_cast<float*>(head);
        int8_t *k = reinterpret_cast<int8_t*>(keys) + slot, *v = reinterpret_cast<int8_t*>(values) + slot * step;
        float inverse;
        scale_of(largest_of(key, width), scales[slot], inverse);
        for (int64_t i = 0; i < width; ++i) k[i * BLOCK] = static_cast<int8_t>(rounded(key[i] * inverse));
        scale_of(largest_of(value, width), scales[BLOCK + slot], inverse);
        for (int64_t i = 0; i < width; ++i) v[i] = static_cast<int8_t>(rounded(value[i] * inverse));
    }
}

// Scores of all positions from block to block, and of those that a query does not see minus infinity.
template <int COUNT, typename T>
inline void score(const Queries& asked, int64_t begin, int64_t low, int64_t high, float (&scores)[MOST_QUERIES][CHUNK]) {
    const Cache& cache = *asked.cache;
    const float nothing = float_of(0xFF800000u);
    for (int64_t block = low / BLOCK; block * BLOCK < high; ++block) {
        const unsigned char* head = cache.head(asked.table[block], asked.layer, asked.kv_head);
        const T* keys = reinterpret_cast<const T*>(head + cache.scales());
        Floats left[COUNT], right[COUNT];
        UNROLLED for (int q = 0; q < COUNT; ++q) left[q] = right[q] = all(0.0f);
        for (int64_t i = 0; i < cache.head_width; ++i) {
            const Floats a = wide(keys + i * BLOCK), b = wide(keys + i * BLOCK + LANES);
            UNROLLED for (int q = 0; q < COUNT; ++q) {
                const Floats x = all(asked.vectors[q][i]);
                left[q] = fused(left[q], x, a);
                right[q] = fused(right[q], x, b);
            }
        }
        if (cache.store == INT8) {
            const float* scales = reinterpret_cast<const float*>(head);
            const Floats a = some(scales, 16), b = some(scales + LANES, 16);
            UNROLLED for (int q = 0; q < COUNT; ++q) {
                left[q] = times(left[q], a);
                right[q] = times(right[q], b);
            }
        }
        UNROLLED for (int q = 0; q < COUNT; ++q) {
            keep(scores[q] + block * BLOCK - begin, left[q], 16);
            keep(scores[q] + block * BLOCK - begin + LANES, right[q], 16);
        }
    }
    for (int q = 0; q < COUNT; ++q) {
        float* row = scores[q];
        if (asked.cap != 0.0f) cap(row + (low - begin), asked.cap, high - low);
        for (int64_t i = low / BLOCK * BLOCK; i < asked.first[q] && i < high; ++i) row[i - begin] = nothing;
        const int64_t seen = asked.last[q] + 1 > low ? asked.last[q] + 1 : low / BLOCK * BLOCK;
        for (int64_t i = seen; i < filled(high, BLOCK); ++i) row[i - begin] = nothing;
    }
}

// The scores' softmax, not yet divided by its sum.
inline void soften(float* row, int64_t low, int64_t high, Partial& partial) {
    const float nothing = float_of(0xFF800000u);
    Floats lanes = all(nothing);
    for (int64_t i = low; i < high; i += LANES) lanes = greater(some(row + i, 16), lanes);
    const float most = partial.most = greatest(lanes);
    const float from = most == nothing ? 0.0f : most;
    for (int64_t i = low; i < high; ++i) row[i] = exponential(row[i] - from);
    Floats sum = all(0.0f);
    for (int64_t i = low; i < high; i += LANES) sum = added(sum, some(row + i, 16));
    partial.sum = total(sum);
}

template <int COUNT, int VECTORS, typename T>
inline void gather(const Queries& asked, int64_t begin, int64_t low, int64_t high, const float (&weights)[MOST_QUERIES][CHUNK],
                   int64_t at, Partial* partials) {
    const Cache& cache = *asked.cache;
    const int64_t step = cache.value_width();
    Floats sums[COUNT][VECTORS];
    UNROLLED for (int q = 0; q < COUNT; ++q)
        UNROLLED for (int i = 0; i < VECTORS; ++i) sums[q][i] = all(0.0f);
    for (int64_t block = low / BLOCK; block * BLOCK < high; ++block) {
        const unsigned char* head = cache.head(asked.table[block], asked.layer, asked.kv_head);
        const float* scales = reinterpret_cast<const float*>(head) + BLOCK;
        const T* values = reinterpret_cast<const T*>(head + cache.scales() + cache.key_bytes()) + at;
        const int64_t first = block * BLOCK < low ? low - block * BLOCK : 0;
        const int64_t last = high - block * BLOCK < BLOCK ? high - block * BLOCK : BLOCK;
        for (int64_t slot = first; slot < last; ++slot) {
            Floats value[VECTORS];
            UNROLLED for (int i = 0; i < VECTORS; ++i) value[i] = wide(values + slot * step + i * LANES);
            UNROLLED for (int q = 0; q < COUNT; ++q) {
                float weight = weights[q][block * BLOCK + slot - begin];
                if (cache.store == INT8) weight *= scales[slot];
                const Floats x = all(weight);
                UNROLLED for (int i = 0; i < VECTORS; ++i) sums[q][i] = fused(sums[q][i], x, value[i]);
            }
        }
    }
    UNROLLED for (int q = 0; q < COUNT; ++q)
        UNROLLED for (int i = 0; i < VECTORS; ++i) keep(partials[q].values + at + i * LANES, sums[q][i], 16);
}

template <int COUNT, typename T>
void attend_as(const Queries& asked, int64_t begin, Partial* partials) {
    alignas(64) float scores[MOST_QUERIES][CHUNK];
    int64_t low = begin + CHUNK, high = begin;
    for (int q = 0; q < COUNT; ++q) {
        low = asked.first[q] < low ? asked.first[q] : low;
        high = asked.last[q] + 1 > high ? asked.last[q] + 1 : high;
    }
    low = low < begin ? begin : low;
    high = high > begin + CHUNK ? begin + CHUNK : high;
    if (low >= high) low = high = begin;  // nothing is seen: no blocks are touched
    score<COUNT, T>(asked, begin, low, high, scores);
    const int64_t from = low / BLOCK * BLOCK - begin, to = filled(high, BLOCK) - begin;
    for (int q = 0; q < COUNT; ++q) soften(scores[q], from, to, partials[q]);
    const int64_t width = asked.cache->value_width();
    int64_t at = 0;
    for (; at + 4 * LANES <= width; at += 4 * LANES) gather<COUNT, 4, T>(asked, begin, low, high, scores, at, partials);
    for (; at < width; at += LANES) gather<COUNT, 1, T>(asked, begin, low, high, scores, at, partials);
}

template <typename T>
void attend_in(const Queries& asked, int64_t count, int64_t begin, Partial* partials) {
    if (count == 1) return attend_as<1, T>(asked, begin, partials);
    if (count == 2) return attend_as<2, T>(asked, begin, partials);
    if (count == 3) return attend_as<3, T>(asked, begin, partials);
    attend_as<4, T>(asked, begin, partials);
}

void attend(const Queries& asked, int64_t count, int64_t begin, Partial* partials) {
    if (asked.cache->store == FLOAT32) return attend_in<float>(asked, count, begin, partials);
    if (asked.cache->store == BFLOAT16) return attend_in<uint16_t>(asked, count, begin, partials);
    attend_in<int8_t>(asked, count, begin, partials);
}

// A chunk of which nothing was seen changes nothing.
void merge(Partial& whole, const Partial& part, int64_t width) {
    const float nothing = float_of(0xFF800000u);
    if (part.most == nothing && part.sum == 0.0f) return;
    const bool is_first = whole.most == nothing && whole.sum == 0.0f;
    const float most = is_first || part.most > whole.most ? part.most : whole.most;
    const float old = is_first ? 0.0f : exponential(whole.most - most), here = exponential(part.most - most);
    for (int64_t i = 0; i < width; ++i) {
        const float before = is_first ? 0.0f : whole.values[i] * old;
        whole.values[i] = before + part.values[i] * here;
    }
    whole.sum = (is_first ? 0.0f : whole.sum * old) + part.sum * here;
    whole.most = most;
}

const FloatWork FLOATS{norm, gate, turn, add, cap, multiply_floats, keep_position, attend, merge, exponential, survey};
