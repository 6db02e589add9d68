// Floats to codes, in plain loops that the compiler turns into a path's instructions. Included once by each path, inside a
// namespace of its own. Bit for bit the same on every path: no fused steps, see setup.py.

constexpr float MAGIC = 12582912.0f;  // added and taken off again, a float is rounded to the nearest whole number

inline uint32_t bits_of(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    return bits;
}

inline float float_of(uint32_t bits) {
    float x;
    std::memcpy(&x, &bits, 4);
    return x;
}

inline int32_t rounded(float x) { return static_cast<int32_t>(bits_of(x + MAGIC)) - 0x4B400000; }

constexpr uint32_t NO_SIGN = 0x7FFFFFFF, INFINITE = 0x7F800000;

// What a magnitude's bits say of the scale: bits of floats are in order, and those of no number come last.
inline void scale_of(uint32_t largest, float& scale, float& inverse) {
    const float most = float_of(largest);
    scale = largest >= INFINITE ? float_of(0x7FC00000) : most / 127.0f;
    inverse = largest >= INFINITE || most < 1e-35f ? 0.0f : 127.0f / most;
    if (most < 1e-35f) scale = 0.0f;
}

inline uint32_t largest_of(const float* x, int64_t count) {
    uint32_t largest = 0;
    for (int64_t i = 0; i < count; ++i) {
        const uint32_t here = bits_of(x[i]) & NO_SIGN;
        largest = here > largest ? here : largest;
    }
    return largest;
}

// In one word: each byte 128 higher, added up in pairs, and the four pairs by a multiplication.
inline int32_t sum_of_eight(const int8_t* codes) {
    uint64_t eight;
    std::memcpy(&eight, codes, 8);
    eight ^= 0x8080808080808080u;
    const uint64_t pairs = (eight & 0x00FF00FF00FF00FFu) + (eight >> 8 & 0x00FF00FF00FF00FFu);
    return static_cast<int32_t>(pairs * 0x0001000100010001u >> 48) - 8 * 128;
}

inline float total(Floats lanes) {
    alignas(64) float x[16];
    keep(x, lanes, 16);
    for (int half = 8; half; half /= 2)
        for (int i = 0; i < half; ++i) x[i] += x[i + half];
    return x[0];
}

// The magnitude that becomes 127 where numbers have two bytes.
inline uint32_t usual_of(const float* x, int64_t count, uint32_t largest) {
    Floats sum = all(0.0f);
    for (int64_t i = 0; i < count; i += LANES) {
        alignas(64) float line[16] = {};
        const int64_t here = count - i < LANES ? count - i : LANES;
        for (int64_t j = 0; j < here; ++j) line[j] = float_of(bits_of(x[i + j]) & NO_SIGN);
        sum = added(sum, some(line, 16));
    }
    const float most = float_of(largest), usual = 4.0f * total(sum) / static_cast<float>(count), least = most / 256.0f;
    return bits_of(usual < least ? least : usual < most ? usual : most);
}

// Which fours have second bytes.
inline void find_large(const int8_t* second, int64_t wide, uint16_t* large) {
    uint16_t* at = large + 1;
    for (int64_t i = 0; i < wide; i += UNIT) {
        uint32_t fours[4];
        std::memcpy(fours, second + i, 16);
        if (!(fours[0] | fours[1] | fours[2] | fours[3])) continue;
        for (int j = 0; j < 4; ++j)
            if (fours[j]) *at++ = static_cast<uint16_t>(i / QUAD + j);
    }
    *large = static_cast<uint16_t>(at - large - 1);
}

void quantise(const float* x, int64_t stride, const Rows& rows, int64_t begin, int64_t end) {
    const int64_t inputs = rows.inputs, wide = rows.wide(), bytes = rows.bytes;
    for (int64_t row = begin; row < end; ++row) {
        const float* from = x + row * stride;
        int8_t *codes = rows.codes + row * bytes * wide, *second = codes + wide;
        const uint32_t largest = largest_of(from, inputs);
        float inverse;
        scale_of(bytes == 1 || largest >= INFINITE ? largest : usual_of(from, inputs, largest), rows.scales[row], inverse);
        for (int64_t i = 0; i < bytes; ++i)
            std::memset(codes + i * wide + inputs / UNIT * UNIT, 0, wide - inputs / UNIT * UNIT);
        if (largest >= INFINITE)
            std::memset(codes, 0, bytes * wide);
        else if (bytes == 1)
            for (int64_t i = 0; i < inputs; ++i) codes[i] = static_cast<int8_t>(rounded(from[i] * inverse));
        else
            for (int64_t i = 0; i < inputs; ++i) {
                const int32_t code = rounded(from[i] * inverse);
                const int32_t times = rounded(static_cast<float>(code) * (1.0f / 255.0f));
                codes[i] = static_cast<int8_t>(code - 255 * times);
                second[i] = static_cast<int8_t>(times);
            }
        if (bytes == 2) find_large(second, wide, rows.large_of(row));
        for (int64_t byte = 0; byte < bytes; ++byte, codes += wide) {
            int32_t* sums = rows.sums + row * bytes + byte;
            int32_t sum = *sums = 0;
            for (int64_t i = 0; i < wide; i += UNIT)
                *(sums += rows.count * bytes) = sum += sum_of_eight(codes + i) + sum_of_eight(codes + i + 8);
        }
    }
}

void pack_block(const float* x, int64_t stride, int64_t rows, int64_t inputs, uint8_t* codes, float* scales) {
    const int64_t wide = filled(inputs, UNIT);
    for (int64_t lane = 0; lane < LANES; ++lane) {
        const float* row = x + (lane < rows ? lane : 0) * stride;
        const uint32_t largest = lane < rows ? largest_of(row, inputs) : 0;
        float inverse;
        scale_of(largest, scales[lane], inverse);
        const int64_t count = lane < rows && largest < INFINITE ? inputs : 0;
        alignas(64) uint8_t some[64];
        for (int64_t i = 0; i < wide; i += 64) {
            const int64_t most = wide - i < 64 ? wide - i : 64;
            const int64_t here = count - i < 0 ? 0 : count - i < 64 ? count - i : 64;
            if (here < 64) std::memset(some, 128, 64);
            for (int64_t j = 0; j < here; ++j) some[j] = static_cast<uint8_t>(rounded(row[i + j] * inverse) + 128);
            for (int64_t j = 0; j < most; j += QUAD) std::memcpy(codes + (i + j) * LANES + lane * QUAD, some + j, QUAD);
        }
    }
}

void pack_block_across(const float* x, int64_t stride, int64_t columns, int64_t inputs, uint8_t* codes,
                       float* scales) {
    alignas(64) uint32_t largest[LANES] = {};
    alignas(64) float inverse[LANES], line[LANES];
    alignas(64) uint32_t quad[LANES];
    if (columns == LANES) {
        for (int64_t i = 0; i < inputs; ++i)
            for (int64_t lane = 0; lane < LANES; ++lane) {
                const uint32_t here = bits_of(x[i * stride + lane]) & NO_SIGN;
                largest[lane] = here > largest[lane] ? here : largest[lane];
            }
    } else {
        for (int64_t i = 0; i < inputs; ++i)
            for (int64_t lane = 0; lane < columns; ++lane) {
                const uint32_t here = bits_of(x[i * stride + lane]) & NO_SIGN;
                largest[lane] = here > largest[lane] ? here : largest[lane];
            }
    }
    bool is_sound = columns == LANES;
    for (int64_t lane = 0; lane < LANES; ++lane) {
        scale_of(largest[lane], scales[lane], inverse[lane]);
        is_sound = is_sound && largest[lane] < INFINITE;
    }
    for (int64_t i = 0; i < filled(inputs, UNIT); i += QUAD) {
        for (int64_t lane = 0; lane < LANES; ++lane) quad[lane] = 0x80808080u;
        for (int64_t j = 0; j < QUAD && i + j < inputs; ++j) {
            const float* source = x + (i + j) * stride;
            if (!is_sound) {
                for (int64_t lane = 0; lane < LANES; ++lane)
                    line[lane] = lane < columns && largest[lane] < INFINITE ? source[lane] : 0.0f;
                source = line;
            }
            for (int64_t lane = 0; lane < LANES; ++lane)
                quad[lane] ^= static_cast<uint32_t>(rounded(source[lane] * inverse[lane]) & 255) << (8 * j);
        }
        std::memcpy(codes + i * LANES, quad, sizeof quad);
    }
}

void pack(const float* x, int64_t stride, bool across, int64_t outputs, int64_t inputs, int64_t from, int64_t to,
          uint8_t* codes, float* scales) {
    const int64_t bytes_of_block = filled(inputs, UNIT) * LANES;
    for (int64_t block = from; block < to; ++block) {
        const int64_t first = block * LANES, here = outputs - first < LANES ? outputs - first : LANES;
        (across ? pack_block_across : pack_block)(across ? x + first : x + first * stride, stride, here, inputs,
                                                  codes + block * bytes_of_block, scales + first);
    }
}

inline float float_of_half(uint16_t half) {  // without infinities
    return float_of((half & 0x7FFFu) << 13 | (half & 0x8000u) << 16) * 0x1p112f;
}

void read(const Matrix& w, int64_t output, float* weights) {
    const int64_t lane = output % LANES;
    const uint8_t* codes = w.codes + output / LANES * w.block_bytes() + lane * QUAD;
    const uint16_t* groups = w.groups ? w.groups + output / LANES * w.block_groups() + lane : nullptr;
    const int64_t each = LANES * (w.has_minimums ? 2 : 1);
    const int zero = w.bits == 8 ? 128 : w.has_minimums ? 0 : 8;
    const float whole = w.scales[output];
    float scale = 1.0f, minimum = 0.0f;
    for (int64_t i = 0; i < w.inputs; ++i) {
        if (groups && i % w.group == 0) {
            scale = float_of_half(groups[i / w.group * each]);
            minimum = w.has_minimums ? float_of_half(groups[i / w.group * each + LANES]) : 0.0f;
        }
        int code;
        if (w.bits == 8)
            code = codes[i / QUAD * 64 + i % QUAD];
        else
            code = codes[i / 8 * 64 + i % QUAD] >> (i % 8 < QUAD ? 0 : 4) & 15;
        weights[i] = (static_cast<float>(code - zero) * scale + minimum) * whole;
    }
}
