// What is done to rows of floats between the products. Included once by each path, inside a namespace of its own, after
// tile.h and body.h. Plain loops that the compiler turns into a path's instructions; sums in sixteen lanes.

inline float greatest(Floats lanes) {
    alignas(64) float x[16];
    keep(x, lanes, 16);
    for (int half = 8; half; half /= 2)
        for (int i = 0; i < half; ++i) x[i] = x[i] > x[i + half] ? x[i] : x[i + half];
    return x[0];
}

inline int lanes_left(int64_t count) { return count < LANES ? static_cast<int>(count) : static_cast<int>(LANES); }

// Cephes' polynomial (https://www.netlib.org/cephes); 0 below -87, no number of no number.
inline float exponential(float x) {
    const float inside = x > 88.0f ? 88.0f : x < -87.0f ? -87.0f : x;
    const float magic = inside * 1.44269504f + MAGIC, whole = magic - MAGIC;
    const float r = inside - whole * 0.693359375f - whole * -2.12194440e-4f;
    float y = 1.9875691500e-4f;
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    y = y * r * r + r + 1.0f;
    const float power = float_of((bits_of(magic) - 0x4B400000u + 127u) << 23);
    return x < -87.0f ? 0.0f : y * power;
}

inline float hyperbolic(float x) { return 1.0f - 2.0f / (exponential(2.0f * x) + 1.0f); }

// Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: off by 1.5e-7 at most.
inline float error_function(float x) {
    const float size = x < 0 ? -x : x, t = 1.0f / (1.0f + 0.3275911f * size);
    const float sum = ((((1.061405429f * t - 1.453152027f) * t + 1.421413741f) * t - 0.284496736f) * t + 0.254829592f) * t;
    const float y = 1.0f - sum * exponential(-size * size);
    return x < 0 ? -y : y;
}

template <int ACT>
inline float acted(float x) {
    if (ACT == SILU) return x / (1.0f + exponential(-x));
    if (ACT == GELU) return 0.5f * x * (1.0f + error_function(x * 0.70710678f));
    if (ACT == GELU_TANH) return 0.5f * x * (1.0f + hyperbolic(0.79788456f * (x + 0.044715f * x * x * x)));
    return x < 0 ? 0.0f : x;
}

template <int ACT>
void gate_by(const float* gate, const float* up, int64_t width, float* out) {
    if (up)
        for (int64_t i = 0; i < width; ++i) out[i] = acted<ACT>(gate[i]) * up[i];
    else
        for (int64_t i = 0; i < width; ++i) out[i] = acted<ACT>(gate[i]);
}

void gate(int32_t act, const float* gate, const float* up, int64_t width, float* out) {
    if (act == SILU) return gate_by<SILU>(gate, up, width, out);
    if (act == GELU) return gate_by<GELU>(gate, up, width, out);
    if (act == GELU_TANH) return gate_by<GELU_TANH>(gate, up, width, out);
    gate_by<RELU>(gate, up, width, out);
}

void norm(const Norm& norm, const float* x, int64_t width, float* out) {
    float mean = 0.0f;
    if (norm.is_centred) {
        Floats sum = all(0.0f);
        for (int64_t i = 0; i < width; i += LANES) sum = added(sum, some(x + i, lanes_left(width - i)));
        mean = total(sum) / static_cast<float>(width);
    }
    Floats squares = all(0.0f);
    for (int64_t i = 0; i < width; i += LANES) {
        alignas(64) float line[16] = {};
        const int count = lanes_left(width - i);
        for (int j = 0; j < count; ++j) line[j] = x[i + j] - mean;
        const Floats here = some(line, 16);
        squares = added(squares, times(here, here));
    }
    const float scale = 1.0f / __builtin_sqrtf(total(squares) / static_cast<float>(width) + norm.epsilon);
    if (norm.bias)
        for (int64_t i = 0; i < width; ++i) out[i] = (x[i] - mean) * scale * norm.gain[i] + norm.bias[i];
    else
        for (int64_t i = 0; i < width; ++i) out[i] = (x[i] - mean) * scale * norm.gain[i];
}

void turn(float* x, const float* cos_sin, int64_t head_width, float scale) {
    const int64_t half = head_width / 2;
    if (cos_sin)
        for (int64_t i = 0; i < half; ++i) {
            const float a = x[i], b = x[i + half], c = cos_sin[i], s = cos_sin[i + half];
            x[i] = (a * c - b * s) * scale;
            x[i + half] = (b * c + a * s) * scale;
        }
    else if (scale != 1.0f)
        for (int64_t i = 0; i < head_width; ++i) x[i] *= scale;
}

void add(float* x, const float* y, float times, int64_t width) {
    for (int64_t i = 0; i < width; ++i) x[i] += y[i] * times;
}

void cap(float* x, float most, int64_t width) {
    for (int64_t i = 0; i < width; ++i) x[i] = most * hyperbolic(x[i] / most);
}

template <int ROWS>
inline void float_tile(const float* w, int64_t inputs, const float* x, int64_t stride, const float* bias, float* place,
                       int64_t out_stride, int count, bool adds) {
    Floats sums[ROWS];
    UNROLLED for (int row = 0; row < ROWS; ++row) sums[row] = all(0.0f);
    for (int64_t i = 0; i < inputs; ++i) {
        const Floats here = some(w + i * LANES, 16);
        UNROLLED for (int row = 0; row < ROWS; ++row)
            sums[row] = fused(sums[row], here, all(x[row * stride + i]));
    }
    UNROLLED for (int row = 0; row < ROWS; ++row) {
        Floats y = sums[row];
        if (bias) y = added(y, some(bias, count));
        if (adds) y = added(some(place + row * out_stride, count), y);
        keep(place + row * out_stride, y, count);
    }
}

void multiply_floats(const Matrix& w, const float* x, int64_t stride, int64_t begin, int64_t end, int64_t from,
                     int64_t to, const Out& out) {
    const float* weights = reinterpret_cast<const float*>(w.codes);
    for (int64_t column = from; column < to; column += LANES) {
        const float* block = weights + column * w.inputs;
        const float* bias = out.bias ? out.bias + column : nullptr;
        const int count = lanes_left(w.outputs - column);
        int64_t row = begin;
        for (; row + 4 <= end; row += 4)
            float_tile<4>(block, w.inputs, x + row * stride, stride, bias, out.place + row * out.stride + column,
                          out.stride, count, out.adds);
        for (; row < end; ++row)
            float_tile<1>(block, w.inputs, x + row * stride, stride, bias, out.place + row * out.stride + column,
                          out.stride, count, out.adds);
    }
}

// Sums of 1,024 in sixteen lanes, and those added up in float64.
Survey survey(const float* logits, int64_t count, int64_t drawable) {
    Floats lanes = all(float_of(0xFF800000u));
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) lanes = greater(some(logits + i, 16), lanes);
    float most = greatest(lanes);
    for (; i < count; ++i) most = logits[i] > most ? logits[i] : most;
    double sum = 0.0;
    for (int64_t begin = 0; begin < count; begin += 1024) {
        Floats part = all(0.0f);
        for (int64_t at = begin; at < begin + 1024 && at < count; at += LANES) {
            const int64_t here = count - at < LANES ? count - at : LANES;
            alignas(64) float line[16] = {};
            for (int64_t j = 0; j < here; ++j) line[j] = exponential(logits[at + j] - most);
            part = added(part, some(line, 16));
        }
        sum += total(part);
    }
    float best = float_of(0xFF800000u);
    if (drawable == count) {
        best = most;
    } else {
        for (int64_t at = 0; at < drawable; ++at) best = logits[at] > best ? logits[at] : best;
    }
    int32_t likeliest = 0;
    while (likeliest + 1 < drawable && logits[likeliest] != best) ++likeliest;
    return {most + __builtin_log(sum), likeliest};
}
