// A tile in plain loops, for paths without an instruction that multiplies bytes and adds them up.

constexpr int ROWS_AT_ONCE = 4, BLOCKS_AT_ONCE = 1;

inline void tile(const Matrix& w, const uint8_t* codes, const float* scales, int rows, int64_t column, int,
                 float* out, int64_t stride) {
    const int64_t wide = filled(w.inputs, QUAD);
    const int8_t* block = w.codes + column * wide;
    const int64_t here = std::min(LANES, w.outputs - column);
    for (int row = 0; row < rows; ++row) {
        alignas(64) int32_t sums[LANES] = {};
        const uint8_t* x = codes + row * wide;
        for (int64_t i = 0; i < wide; i += QUAD) {
            const int8_t* quad = block + i * LANES;
            for (int lane = 0; lane < LANES; ++lane) {
                int32_t sum = 0;
                for (int j = 0; j < QUAD; ++j) sum += static_cast<int32_t>(x[i + j]) * quad[lane * QUAD + j];
                sums[lane] += sum;
            }
        }
        for (int64_t lane = 0; lane < here; ++lane) {
            const float product = static_cast<float>(sums[lane] - w.offsets[column + lane]);
            out[row * stride + column + lane] = product * w.scales[column + lane] * scales[row];
        }
    }
}
