// Everything the native library does, on memory that ends where it says, from several threads: built with a sanitizer and
// run by test_sanitizers.py. Says nothing and ends with 0 if all products are right.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "rows.h"

using namespace hanlin;

extern "C" {
const char* hanlin_path();
int hanlin_choose(const char*);
void hanlin_set_threads(int);
void hanlin_pack(const float*, int64_t, int, int64_t, int64_t, uint8_t*, float*);
void hanlin_lay(const uint8_t*, int64_t, int64_t, int, int, uint8_t*);
void hanlin_quantise(const float*, int64_t, const Rows*);
void hanlin_multiply(const Matrix*, const Rows*, float*, int64_t, const float*);
void hanlin_apply(const Matrix*, const float*, int64_t, int64_t, float*, int64_t, const float*);
}

// On the heap, so that one element too far is seen.
template <typename T>
std::unique_ptr<T[]> room(int64_t count) {
    return std::unique_ptr<T[]>(new T[count]);
}

void fail(const char* what, int64_t a, int64_t b, int64_t c) {
    std::fprintf(stderr, "%s: %s %lld %lld %lld\n", hanlin_path(), what, (long long)a, (long long)b, (long long)c);
    std::abort();
}

void compare(const Matrix& w, const float* dense, const float* x, int64_t count, const float* bias) {
    const int64_t inputs = w.inputs, outputs = w.outputs, wide = w.wide();
    const int64_t bytes = w.row_bytes;
    auto codes = room<int8_t>(count * bytes * wide);
    auto scales = room<float>(count), two = room<float>(count * outputs), one = room<float>(count * outputs);
    auto sums = room<int32_t>(count * bytes * (wide / UNIT + 1));
    auto large = room<uint16_t>(count * (1 + wide / QUAD));
    const Rows rows{codes.get(), scales.get(), sums.get(), large.get(), count, inputs, bytes};
    hanlin_quantise(x, inputs, &rows);
    hanlin_multiply(&w, &rows, two.get(), outputs, bias);
    hanlin_apply(&w, x, inputs, count, one.get(), outputs, bias);
    if (std::memcmp(one.get(), two.get(), sizeof(float) * count * outputs)) fail("apply", count, outputs, inputs);
    for (int64_t row = 0; row < count; ++row)
        for (int64_t output = 0; output < outputs; ++output) {
            double want = bias ? bias[output] : 0, size = 1e-3 + std::fabs(want);
            for (int64_t i = 0; i < inputs; ++i) {
                const int8_t* at = codes.get() + row * bytes * wide + i;
                const double code = bytes == 1 ? at[0] : at[0] + 255.0 * at[wide];
                const double part = code * scales[row] * dense[output * inputs + i];
                want += part, size += std::fabs(part);
            }
            if (!(std::fabs(one[row * outputs + output] - want) < 1e-5 * size)) fail("product", row, output, inputs);
        }
}

void whole(std::mt19937& random, int64_t count, int64_t outputs, int64_t inputs) {
    std::normal_distribution<float> normal;
    auto weight = room<float>(outputs * inputs), across = room<float>(outputs * inputs), x = room<float>(count * inputs);
    auto bias = room<float>(outputs), dense = room<float>(outputs * inputs);
    for (int64_t i = 0; i < count * inputs; ++i) x[i] = normal(random);
    for (int64_t i = 0; i < outputs; ++i) bias[i] = normal(random);
    for (int64_t o = 0; o < outputs; ++o)
        for (int64_t i = 0; i < inputs; ++i) across[i * outputs + o] = weight[o * inputs + i] = normal(random);
    const int64_t wide = filled(inputs, UNIT), high = filled(outputs, LANES);
    auto codes = room<uint8_t>(wide * high), again = room<uint8_t>(wide * high);
    auto scales = room<float>(high), scales_again = room<float>(high);
    hanlin_pack(weight.get(), inputs, 0, outputs, inputs, codes.get(), scales.get());
    hanlin_pack(across.get(), outputs, 1, outputs, inputs, again.get(), scales_again.get());
    if (std::memcmp(codes.get(), again.get(), wide * high)) fail("across", count, outputs, inputs);
    for (int64_t o = 0; o < outputs; ++o)
        for (int64_t i = 0; i < inputs; ++i) {
            const int64_t at = o / LANES * LANES * wide + i / QUAD * 64 + o % LANES * QUAD + i % QUAD;
            dense[o * inputs + i] = (codes[at] - 128) * scales[o];
        }
    for (int64_t row_bytes : {1, 2})
        compare({codes.get(), scales.get(), nullptr, outputs, inputs, inputs, 8, 0, row_bytes}, dense.get(), x.get(), count,
                bias.get());
}

void grouped(std::mt19937& random, int64_t count, int64_t outputs, int64_t inputs, int64_t group, int bits, bool low) {
    std::normal_distribution<float> normal;
    const int64_t wide = filled(inputs, UNIT), high = filled(outputs, LANES), groups = (inputs + group - 1) / group;
    auto from = room<uint8_t>(outputs * inputs), codes = room<uint8_t>(wide * high * bits / 8);
    auto scales = room<float>(high), x = room<float>(count * inputs), dense = room<float>(outputs * inputs);
    auto halves = room<uint16_t>(high * groups * (low ? 2 : 1));
    for (int64_t i = 0; i < count * inputs; ++i) x[i] = normal(random);
    for (int64_t i = 0; i < high; ++i) scales[i] = 0.5f;
    for (int64_t i = 0; i < high * groups * (low ? 2 : 1); ++i) halves[i] = random() % 2 ? 0x3C00 : 0x3800;  // 1 or ½
    const auto half = [&](int64_t o, int64_t g, int part) {
        const int64_t parts = low ? 2 : 1, at = ((o / LANES * groups + g) * parts + part) * LANES + o % LANES;
        return halves[at] == 0x3C00 ? 1.0f : 0.5f;
    };
    for (int64_t o = 0; o < outputs; ++o)
        for (int64_t i = 0; i < inputs; ++i) {
            const uint8_t code = random() & (bits == 8 ? 255 : 15);
            from[o * inputs + i] = code;
            const float value = bits == 8 ? static_cast<int8_t>(code) : low ? code : code - 8;
            dense[o * inputs + i] = 0.5f * (value * half(o, i / group, 0) + (low ? half(o, i / group, 1) : 0));
        }
    hanlin_lay(from.get(), outputs, inputs, bits, 0, codes.get());
    for (int64_t row_bytes : {1, 2})
        compare({codes.get(), scales.get(), halves.get(), outputs, inputs, group, bits, low, row_bytes}, dense.get(),
                x.get(), count, nullptr);
}

void some(uint32_t seed, int rounds) {
    std::mt19937 random(seed);
    for (int i = 0; i < rounds; ++i) {
        const int64_t count = 1 + random() % 15, outputs = 1 + random() % 90, inputs = 1 + random() % 150;
        whole(random, count, outputs, inputs);
        const int64_t group = 16 << random() % 3;
        grouped(random, count, outputs, inputs, group, 8, false);
        grouped(random, count, outputs, inputs, group, 4, false);
        grouped(random, count, outputs, inputs, group, 4, true);
    }
}

int main() {
    for (const char* name : {"avx512vnni", "avx2vnni", "avx2", "portable"}) {
        if (hanlin_choose(name)) continue;
        hanlin_set_threads(3);
        some(1, 8);
        std::mt19937 random(9);
        whole(random, 210, 530, 40);
        std::vector<std::thread> threads;
        for (uint32_t i = 0; i < 3; ++i) threads.emplace_back([i] { some(i, 4); });
        for (auto& thread : threads) thread.join();
    }
    for (int i = 0; i < 20; ++i) {
        hanlin_set_threads(1 + i % 4);
        some(i, 1);
    }
    hanlin_set_threads(1);
}
