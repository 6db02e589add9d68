// Products of rows with a matrix, both in bytes. What a path (one set of instructions) offers, and how things lie.
//
// A matrix of `outputs` × `inputs` lies in blocks of 16 outputs: for every four inputs 64 bytes, four of each output, so
// that one instruction multiplies four bytes of a row with those of sixteen outputs. Both sizes are filled up with zeros
// to a multiple of 16 and of 4. A row's bytes stand 128 higher (the instruction wants them unsigned), for which each
// output's sum is taken off again.
#pragma once
#include <cstdint>

namespace hanlin {

constexpr int64_t LANES = 16, QUAD = 4;

inline int64_t filled(int64_t size, int64_t unit) { return (size + unit - 1) / unit * unit; }

struct Matrix {
    const int8_t* codes;     // blocks as above
    const float* scales;     // of each output
    const int32_t* offsets;  // 128 × the sum of each output's codes
    int64_t outputs, inputs;
};

struct Path {
    const char* name;
    // Bytes and scale of each row; 127 is its largest magnitude. A row with something infinite or no number has a NaN
    // for its scale, and so has every product of it.
    void (*quantise)(const float* x, int64_t stride, int64_t rows, int64_t inputs, uint8_t* codes, float* scales);
    // Rows `begin` to `end` times outputs `from` to `to` (a multiple of 16).
    void (*multiply)(const Matrix& w, const uint8_t* codes, const float* scales, int64_t begin, int64_t end,
                     int64_t from, int64_t to, float* out, int64_t stride);
    // Blocks `from` to `to` of 16 outputs out of floats; with `across` the outputs are the columns of x.
    void (*pack)(const float* x, int64_t stride, bool across, int64_t outputs, int64_t inputs, int64_t from,
                 int64_t to, int8_t* codes, float* scales, int32_t* offsets);
};

extern const Path PORTABLE, AVX2, AVX512VNNI;

}  // namespace hanlin
