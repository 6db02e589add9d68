// A decoder as a flat list of steps, and what a path (one set of instructions) does for them besides products of bytes.
//
// Rows are positions of any sequences. Whatever is done to a row is done in one order, whichever rows are beside it: sums
// over a row run in sixteen lanes that are added up at the end, sums over what a row sees run in chunks of 256 positions.
//
// Keys and values lie in blocks of 32 positions, a block for all layers: for each layer and head the keys as
// [head width][32], so that sixteen positions are one vector, and the values as [32][head width]. Codes of eight bits
// have a scale for each position: those of 32 keys, then those of 32 values, as floats in front.
#pragma once
#include "rows.h"

namespace hanlin {

constexpr int64_t BLOCK = 32, CHUNK = 256;  // positions
constexpr int64_t MOST_QUERIES = 4;         // that one pass over keys and values serves

enum Act : int32_t { SILU, GELU, GELU_TANH, RELU };
enum Store : int32_t { FLOAT32, BFLOAT16, INT8 };

struct Norm {
    const float* gain;  // none: there is no norm
    const float* bias;  // or none
    float epsilon;
    int32_t is_centred;  // the mean is taken off first: LayerNorm
};

struct Cache {
    unsigned char* place;
    int64_t head_width, kv_heads, layers;
    int32_t store, blocks;

    int64_t bytes_of(int64_t count) const { return count * (store == FLOAT32 ? 4 : store == BFLOAT16 ? 2 : 1); }
    int64_t value_width() const { return filled(head_width, LANES); }
    int64_t scales() const { return store == INT8 ? 2 * BLOCK * 4 : 0; }
    int64_t key_bytes() const { return bytes_of(head_width * BLOCK); }
    int64_t head_bytes() const { return scales() + key_bytes() + bytes_of(value_width() * BLOCK); }
    int64_t block_bytes() const { return head_bytes() * kv_heads * layers; }
    unsigned char* head(int64_t block, int64_t layer, int64_t kv_head) const {
        return place + block * block_bytes() + (layer * kv_heads + kv_head) * head_bytes();
    }
};

// Some queries of one sequence that share a head of keys and values.
struct Queries {
    const Cache* cache;
    const int32_t* table;  // the sequence's blocks
    int64_t layer, kv_head;
    const float* vectors[MOST_QUERIES];  // scaled already
    int64_t first[MOST_QUERIES], last[MOST_QUERIES];  // positions that each sees
    float cap;  // 0: none
};

struct Partial {  // of a softmax over a chunk: the greatest score, the sum of exp(score - greatest), the weighted values
    float most, sum;
    float* values;
};

// What is always wanted of a row of logits.
struct Survey {
    double total;      // the logarithm of the sum of their powers of e; no number where one of them is none
    int32_t likeliest;  // of the first `drawable`, the first one of the greatest
};

struct FloatWork {
    void (*norm)(const Norm& norm, const float* x, int64_t width, float* out);
    void (*gate)(int32_t act, const float* gate, const float* up, int64_t width, float* out);  // up may be none
    void (*turn)(float* x, const float* cos_sin, int64_t head_width, float scale);  // cos_sin may be none
    void (*add)(float* x, const float* y, float times, int64_t width);
    void (*cap)(float* x, float cap, int64_t width);  // soft: cap × tanh(x / cap)
    // Rows times outputs `from` to `to` of a matrix of floats, [blocks of 16 outputs][inputs][16].
    void (*multiply)(const Matrix& w, const float* x, int64_t stride, int64_t begin, int64_t end, int64_t from,
                     int64_t to, const Out& out);
    void (*keep)(const Cache& cache, unsigned char* head, int64_t slot, const float* key, const float* value);
    // What `count` queries see from position `begin` to `begin` + CHUNK.
    void (*attend)(const Queries& queries, int64_t count, int64_t begin, Partial* partials);
    void (*merge)(Partial& whole, const Partial& part, int64_t width);
    float (*power)(float x);  // e to the x
    Survey (*survey)(const float* logits, int64_t count, int64_t drawable);
};

// What an op does; `from` and `to` are buffers of rows, 0 is the residual stream.
enum Kind : int32_t {
    NORM,      // to = norm(from)
    MULTIPLY,  // to = matrix × from + bias, or added to what is there
    HEADS,     // queries, keys and values in `from`: normed, turned, kept; the queries scaled to `to`
    ATTEND,    // to = what the queries in `from` gather
    GATE,      // to = act(first half of from) × second half, or of all of it with no second half
    ADD,       // to += from
    EXPERTS    // to = what the chosen experts say of from
};

struct Experts {
    const Matrix* router;  // in floats
    const Matrix* const* gate_ups;
    const Matrix* const* ups;  // where a gate and its up are two matrices, the second; or none
    const Matrix* const* downs;
    int64_t count, chosen, width;
    int32_t is_normed, act;
};

// What an adapter adds to outputs of a product, from `begin` in a row of `to` on: B (A x), both in floats.
struct Low {
    const Matrix *a, *b;
    int64_t begin;
    const Low* next;  // of the same product, or none
};

struct Op {
    int32_t kind, from, to, layer;
    int32_t act, has_up, rope, is_whole;  // rope -1: none; is_whole: queries and keys are normed over all heads at once
    int32_t adds, window;                 // window 0: all is seen
    int64_t width;   // of what NORM, GATE and ADD make
    int64_t offset;  // MULTIPLY: where in a row of `to` the products begin; several may write side by side
    float scale, cap;
    Norm norm, key_norm;
    const Matrix* matrix;
    const float* bias;
    const Experts* experts;
};

struct Plan {
    int64_t width, heads, kv_heads, head_width, ops, buffers;
    const Op* op;
    const int64_t* widths;  // of the buffers
    const Matrix* embedding;
    const float* table;   // the embedding in floats, [vocabulary][width]; or none, then `embedding` is packed or a batch
                          // brings its own
    const float* places;  // learned positions, or none
    const float* const* turns;  // of each rope: [positions][cosines of half a head, sines]
    const Matrix* head;
    Norm last;
    float embedding_scale, cap;
};

struct Batch {
    int64_t count, table_width, wanted;
    const int32_t *tokens, *positions;
    const int32_t* sequences;  // whose row; rows of one lie together, in the order of their positions
    const int32_t* tables;     // [sequences][table_width]: the blocks of each
    const int32_t* rows;       // the `wanted` ones
    float* logits;             // [wanted][vocabulary], or none
    float* seen;               // [wanted][width]: the stream after the last norm, or none
    const float* embedded;     // [count][width]: the embeddings of its tokens, where they lie elsewhere; or none
    const int32_t* adapted;    // [count]: the number of each row's adapter, -1: none; or none at all
    const Low* const* const* adapters;  // of each adapter and op what it adds, or none
};

// Logits of rows of the stream after the last norm.
void unembed(const Plan& plan, const float* seen, int64_t stride, int64_t count, float* logits);

void survey(const float* logits, int64_t rows, int64_t count, int64_t drawable, double* totals, int32_t* likeliest);

void walk(const Plan& plan, const Cache& cache, const Batch& batch);

}  // namespace hanlin
