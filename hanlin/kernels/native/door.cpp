// What Python calls: plain C, sizes in elements, memory of the caller's.
#include <algorithm>
#include <cstring>
#include <vector>

#include "paths.h"
#include "plan.h"
#include "products.h"
#include "threads.h"

using namespace hanlin;

#if defined(_WIN32)
#define DOOR extern "C" __declspec(dllexport)
#else
#define DOOR extern "C" __attribute__((visibility("default")))
#endif

DOOR const char* hanlin_path() { return path().name; }

// The path of that name from now on, of none the best; 1: there is no such path, 2: this processor has it not.
DOOR int hanlin_choose(const char* name) { return choose(name); }

DOOR void hanlin_set_threads(int count) { set_threads(count); }

DOOR void hanlin_lend(void* parallel) { lend(reinterpret_cast<Lent>(parallel)); }

DOOR void hanlin_pack(const float* x, int64_t stride, int across, int64_t outputs, int64_t inputs, uint8_t* codes,
                      float* scales) {
    const Path& by = path();
    // Across, 16 columns are a cache line of each row: more at a time, so that a page is not left at once.
    const int64_t blocks = filled(outputs, LANES) / LANES, each = across ? 4 : 1;
    for_each((blocks + each - 1) / each, [&](int64_t part) {
        by.pack(x, stride, across, outputs, inputs, part * each, std::min(part * each + each, blocks), codes, scales);
    });
}

// Codes that are there already, a row to each output: of eight bits around 0, of four from 0 to 15 (anything above is
// cut). `rest` is what an output is filled up with.
DOOR void hanlin_lay(const uint8_t* from, int64_t outputs, int64_t inputs, int bits, int rest, uint8_t* codes) {
    const int64_t wide = filled(inputs, UNIT), bytes = wide * LANES * bits / 8;
    for_each(filled(outputs, LANES) / LANES, [&](int64_t block) {
        uint8_t* to = codes + block * bytes;
        std::memset(to, 0, bytes);
        for (int64_t lane = 0; lane < LANES; ++lane) {
            const int64_t output = block * LANES + lane;
            const int64_t whole = output < outputs ? inputs / 8 * 8 : 0;  // eight at a time: a fifteenth of the time
            for (int64_t i = 0; i < whole; i += 8) {
                uint32_t low, high;
                std::memcpy(&low, from + output * inputs + i, 4);
                std::memcpy(&high, from + output * inputs + i + 4, 4);
                uint8_t* const place = to + i * bits * 2 + lane * QUAD;
                if (bits == 8) {
                    low ^= 0x80808080u, high ^= 0x80808080u;
                    std::memcpy(place + 64, &high, 4);
                } else {
                    low = (low & 0x0F0F0F0Fu) | (high & 0x0F0F0F0Fu) << 4;
                }
                std::memcpy(place, &low, 4);
            }
            for (int64_t i = whole; i < wide; ++i) {
                const bool is_there = output < outputs && i < inputs;
                const uint8_t code = is_there ? from[output * inputs + i] : static_cast<uint8_t>(rest);
                const int64_t place = lane * QUAD + i % QUAD;
                if (bits == 8)
                    to[i / QUAD * 64 + place] = code ^ 128;
                else
                    to[i / 8 * 64 + place] |= static_cast<uint8_t>((code & 15) << (i % 8 < QUAD ? 0 : 4));
            }
        }
    });
}

DOOR void hanlin_quantise(const float* x, int64_t stride, const Rows* rows) { quantise(x, stride, *rows); }

// Columns become rows. Sixteen of each at a time: a line of the cache is read once and written once.
DOOR void hanlin_turn(const float* x, int64_t stride, int64_t rows, int64_t columns, float* to) {
    constexpr int64_t SIDE = 16, BAND = 64;
    for_each((columns + BAND - 1) / BAND, [&](int64_t band) {
        const int64_t last = std::min(columns, band * BAND + BAND);
        for (int64_t top = 0; top < rows; top += SIDE) {
            const int64_t high = std::min(SIDE, rows - top);
            for (int64_t left = band * BAND; left < last; left += SIDE) {
                const int64_t wide = std::min(SIDE, last - left);
                float tile[SIDE][SIDE];
                for (int64_t i = 0; i < high; ++i)
                    std::memcpy(tile[i], x + (top + i) * stride + left, wide * sizeof(float));
                for (int64_t j = 0; j < wide; ++j) {
                    float* const line = to + (left + j) * rows + top;
                    for (int64_t i = 0; i < high; ++i) line[i] = tile[i][j];
                }
            }
        }
    });
}

DOOR void hanlin_multiply(const Matrix* w, const Rows* x, float* place, int64_t stride, const float* bias) {
    multiply(*w, *x, Out{place, stride, bias, false});
}

DOOR void hanlin_apply(const Matrix* w, const float* x, int64_t stride, int64_t count, float* place,
                       int64_t out_stride, const float* bias) {
    apply(*w, x, stride, count, Out{place, out_stride, bias, false});
}

// Floats as a matrix of floats lies: blocks of 16 outputs, [inputs][16], filled up with zeros.
DOOR void hanlin_lay_floats(const float* from, int64_t stride, int64_t outputs, int64_t inputs, float* to) {
    for_each(filled(outputs, LANES) / LANES, [&](int64_t block) {
        for (int64_t i = 0; i < inputs; ++i)
            for (int64_t lane = 0; lane < LANES; ++lane) {
                const int64_t output = block * LANES + lane;
                to[(block * inputs + i) * LANES + lane] = output < outputs ? from[output * stride + i] : 0.0f;
            }
    });
}

DOOR int64_t hanlin_block_bytes(const Cache* cache) { return cache->block_bytes(); }

DOOR void hanlin_walk(const Plan* plan, const Cache* cache, const Batch* batch) { walk(*plan, *cache, *batch); }

DOOR void hanlin_unembed(const Plan* plan, const float* seen, int64_t stride, int64_t count, float* logits) {
    unembed(*plan, seen, stride, count, logits);
}

DOOR void hanlin_survey(const float* logits, int64_t rows, int64_t count, int64_t drawable, double* totals,
                        int32_t* likeliest) {
    survey(logits, rows, count, drawable, totals, likeliest);
}
