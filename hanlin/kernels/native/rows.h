// Products of rows with a matrix of small whole numbers. What a path (one set of instructions) offers, and how things lie.
//
// A matrix of `outputs` × `inputs` lies in blocks of 16 outputs: for every four inputs 64 bytes, four of each output, so
// that one instruction multiplies four bytes of a row with those of sixteen outputs. Sizes are filled up to a multiple of
// 16 with zeros. Codes of eight bits stand 128 higher (the instruction wants them unsigned), for which 128 × the sum of
// the row's codes is taken off again. Codes of four bits lie two to a byte: four inputs in the low halves of 64 bytes,
// the next four in the high halves.
//
// A matrix has a scale for each output. One in groups has another for each `group` of an output's inputs, a float16
// relative to it, and may have a minimum likewise: weight = scale × (scale of group × code + minimum of group). Those of
// 16 outputs lie together, group after group, each group's minimums behind its scales.
//
// A row's numbers are whole ones of a byte, from -127 to 127, its largest 127. Where they have two, four times the row's
// mean magnitude is 127, and what is larger has 255 times its second byte beside the first: few have one, so a row says
// which fours of inputs have any, and a product looks at these alone.
#pragma once
#include <cstdint>

namespace hanlin {

constexpr int64_t LANES = 16, QUAD = 4, UNIT = 16;

inline int64_t filled(int64_t size, int64_t unit) { return (size + unit - 1) / unit * unit; }

struct Matrix {
    const uint8_t* codes;    // blocks as above
    const float* scales;     // of each output
    const uint16_t* groups;  // scales and minimums of groups; none: one scale for an output
    int64_t outputs, inputs, group;
    int32_t bits, has_minimums;  // 32 bits: floats, see plan.h
    int64_t row_bytes;           // of the numbers it is multiplied with, 1 or 2

    int64_t wide() const { return filled(inputs, UNIT); }
    int64_t block_bytes() const { return wide() * LANES * bits / 8; }
    int64_t block_groups() const { return (inputs + group - 1) / group * LANES * (has_minimums ? 2 : 1); }
};

struct Rows {
    int8_t* codes;   // [rows][bytes][inputs], filled up to a multiple of 16 with zeros
    float* scales;   // of each row
    int32_t* sums;   // [..][rows][bytes]: of the first 0 codes of each, of the first 16 of each, 32 …
    uint16_t* large;  // with two bytes, [rows][1 + inputs / 4]: how many fours have second bytes, and which
    int64_t count, inputs, bytes;

    int64_t wide() const { return filled(inputs, UNIT); }
    uint16_t* large_of(int64_t row) const { return large + row * (1 + wide() / QUAD); }
};

struct Out {
    float* place;
    int64_t stride;
    const float* bias;  // of each output, or none
    bool adds;          // to what is there
};

struct FloatWork;

struct Path {
    const char* name;
    const FloatWork* floats;
    // Codes and scale of rows `begin` to `end`. A row with something infinite or no number has a NaN for its scale, and so
    // has every product of it.
    void (*quantise)(const float* x, int64_t stride, const Rows& rows, int64_t begin, int64_t end);
    // Rows `begin` to `end` times outputs `from` to `to` (a multiple of 16).
    void (*multiply)(const Matrix& w, const Rows& x, int64_t begin, int64_t end, int64_t from, int64_t to,
                     const Out& out);
    // Blocks `from` to `to` of 16 outputs out of floats, eight bits each, a scale to each output; with `across` the
    // outputs are the columns of x.
    void (*pack)(const float* x, int64_t stride, bool across, int64_t outputs, int64_t inputs, int64_t from,
                 int64_t to, uint8_t* codes, float* scales);
    // The weights of one output, as floats.
    void (*read)(const Matrix& w, int64_t output, float* weights);
};

extern const Path PORTABLE, AVX2, AVX2VNNI, AVX2VNNI_OF_AVX512, AVX512VNNI;

}  // namespace hanlin
