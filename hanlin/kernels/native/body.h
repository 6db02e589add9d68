// The work of a path, in plain loops that the compiler turns into its instructions. Included once by each path, inside a
// namespace of its own, after `BLOCKS_AT_ONCE` outputs' blocks and a `tile` have been defined.
//
// Everything is bit for bit the same on every path: whole numbers add up in any order, and the few floats are multiplied
// one by one (no fused steps, see setup.py).

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

void quantise(const float* x, int64_t stride, int64_t rows, int64_t inputs, uint8_t* codes, float* scales) {
    const int64_t wide = filled(inputs, QUAD);
    for (int64_t row = 0; row < rows; ++row, x += stride, codes += wide) {
        uint32_t largest = 0;
        for (int64_t i = 0; i < inputs; ++i) largest = std::max(largest, bits_of(x[i]) & NO_SIGN);
        float inverse;
        scale_of(largest, scales[row], inverse);
        if (largest >= INFINITE) {
            std::memset(codes, 128, wide);
            continue;
        }
        for (int64_t i = 0; i < inputs; ++i) codes[i] = static_cast<uint8_t>(rounded(x[i] * inverse) + 128);
        for (int64_t i = inputs; i < wide; ++i) codes[i] = 128;
    }
}

void multiply(const Matrix& w, const uint8_t* codes, const float* scales, int64_t begin, int64_t end, int64_t from,
              int64_t to, float* out, int64_t stride) {
    const int64_t wide = filled(w.inputs, QUAD);
    for (int64_t column = from; column < to; column += LANES * BLOCKS_AT_ONCE) {
        const int blocks = static_cast<int>(std::min<int64_t>(BLOCKS_AT_ONCE, (to - column) / LANES));
        for (int64_t row = begin; row < end; row += ROWS_AT_ONCE) {
            const int rows = static_cast<int>(std::min<int64_t>(ROWS_AT_ONCE, end - row));
            tile(w, codes + row * wide, scales + row, rows, column, blocks, out + row * stride, stride);
        }
    }
}

void pack_block(const float* x, int64_t stride, int64_t rows, int64_t inputs, int8_t* codes, float* scales,
                int32_t* offsets) {
    const int64_t wide = filled(inputs, QUAD);
    for (int64_t lane = 0; lane < LANES; ++lane) {
        int32_t sum = 0;
        if (lane >= rows) {
            for (int64_t i = 0; i < wide; i += QUAD) std::memset(codes + i * LANES + lane * QUAD, 0, QUAD);
            scales[lane] = 0.0f;
            offsets[lane] = 0;
            continue;
        }
        const float* row = x + lane * stride;
        uint32_t largest = 0;
        for (int64_t i = 0; i < inputs; ++i) largest = std::max(largest, bits_of(row[i]) & NO_SIGN);
        float inverse;
        scale_of(largest, scales[lane], inverse);
        alignas(64) int8_t four[64];
        for (int64_t i = 0; i < wide; i += 64) {
            const int64_t here = std::min<int64_t>(64, inputs - i), most = std::min<int64_t>(64, wide - i);
            if (here < 64) std::memset(four, 0, 64);
            for (int64_t j = 0; j < here; ++j) {
                const int32_t code = largest >= INFINITE ? 0 : rounded(row[i + j] * inverse);
                four[j] = static_cast<int8_t>(code);
                sum += code;
            }
            for (int64_t j = 0; j < most; j += QUAD) std::memcpy(codes + (i + j) * LANES + lane * QUAD, four + j, QUAD);
        }
        offsets[lane] = 128 * sum;
    }
}

void pack_block_across(const float* x, int64_t stride, int64_t columns, int64_t inputs, int8_t* codes, float* scales,
                       int32_t* offsets) {
    alignas(64) uint32_t largest[LANES] = {};
    alignas(64) float inverse[LANES], line[LANES];
    alignas(64) int32_t sums[LANES] = {}, quad[LANES];
    for (int64_t i = 0; i < inputs; ++i)
        for (int64_t lane = 0; lane < columns; ++lane)
            largest[lane] = std::max(largest[lane], bits_of(x[i * stride + lane]) & NO_SIGN);
    bool is_sound = true;
    for (int64_t lane = 0; lane < LANES; ++lane) {
        scale_of(largest[lane], scales[lane], inverse[lane]);
        is_sound = is_sound && largest[lane] < INFINITE;
    }
    for (int64_t i = 0; i < inputs; i += QUAD) {
        for (int64_t lane = 0; lane < LANES; ++lane) quad[lane] = 0;
        for (int64_t j = 0; j < QUAD && i + j < inputs; ++j) {
            const float* source = x + (i + j) * stride;
            if (columns < LANES || !is_sound) {
                for (int64_t lane = 0; lane < LANES; ++lane)
                    line[lane] = lane < columns && largest[lane] < INFINITE ? source[lane] : 0.0f;
                source = line;
            }
            for (int64_t lane = 0; lane < LANES; ++lane) {
                const int32_t code = rounded(source[lane] * inverse[lane]);
                sums[lane] += code;
                quad[lane] |= static_cast<int32_t>(static_cast<uint32_t>(code & 255) << (8 * j));
            }
        }
        std::memcpy(codes + i * LANES, quad, sizeof quad);
    }
    for (int64_t lane = 0; lane < LANES; ++lane) offsets[lane] = 128 * sums[lane];
}

void pack(const float* x, int64_t stride, bool across, int64_t outputs, int64_t inputs, int64_t from, int64_t to,
          int8_t* codes, float* scales, int32_t* offsets) {
    const int64_t bytes = filled(inputs, QUAD) * LANES;
    for (int64_t block = from; block < to; ++block) {
        const int64_t first = block * LANES, here = std::min(LANES, outputs - first);
        (across ? pack_block_across : pack_block)(across ? x + first : x + first * stride, stride, here, inputs,
                                                  codes + block * bytes, scales + first, offsets + first);
    }
}
