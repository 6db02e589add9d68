// Walks a plan: one pass of some rows through a decoder.
//
// What is done to each row by itself is done by groups of rows, several ops in one go; between such runs stand products
// and attention, which the threads share in their own ways. A pass of one row is the decoding of one token: there what is
// done to the row alone is not worth waking anybody for.
#include "plan.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "paths.h"
#include "products.h"
#include "threads.h"

namespace hanlin {
namespace {

constexpr int64_t TILE = 16;  // queries that one task takes along a head of keys and values

template <typename T>
T* room(std::vector<T>& place, int64_t count) {
    if (static_cast<int64_t>(place.size()) < count) place.resize(count);
    return place.data();
}

struct Scratch {
    std::vector<float> buffers, partials, experts;
    std::vector<unsigned char> rows;
};

class Walk {
  public:
    Walk(const Plan& plan, const Cache& cache, const Batch& batch, Scratch& scratch)
        : plan_(plan), cache_(cache), batch_(batch), scratch_(scratch), on_(*path().floats), by_(path()) {
        int64_t all = 0;
        for (int64_t i = 0; i < plan.buffers; ++i) all += filled(plan.widths[i], LANES);
        float* at = room(scratch.buffers, all * batch.count);
        for (int64_t i = 0; i < plan.buffers; ++i) {
            buffers_.push_back(at);
            at += filled(plan.widths[i], LANES) * batch.count;
        }
        find_tiles();
    }

    void run() {
        by_rows([&](int64_t row) { embed(row); });
        for (int64_t i = 0; i < plan_.ops;) {
            int64_t end = i;
            while (end < plan_.ops && is_of_rows(plan_.op[end])) ++end;
            const Op* next = end < plan_.ops ? plan_.op + end : nullptr;
            const bool in_bytes = next && next->kind == MULTIPLY && next->matrix->bits != 32;
            const bool quantises = in_bytes && !(end == i && i && reads_the_same(plan_.op[i - 1], *next));
            if (quantises) lay_rows(*next->matrix);
            if (quantises || end > i) by_rows([&](int64_t row) {
                for (int64_t j = i; j < end; ++j) work(plan_.op[j], row);
                if (quantises) by_.quantise(at(next->from, 0), width(next->from), rows_, row, row + 1);
            });
            if (next) share(*next, in_bytes);
            i = end + 1;
        }
        answer();
    }

  private:
    static bool is_of_rows(const Op& op) { return op.kind != MULTIPLY && op.kind != ATTEND && op.kind != EXPERTS; }

    // What the last op read lies in bytes still.
    static bool reads_the_same(const Op& last, const Op& next) {
        return last.kind == MULTIPLY && last.matrix->bits != 32 && last.from == next.from && last.to != last.from &&
               last.matrix->inputs == next.matrix->inputs && last.matrix->row_bytes == next.matrix->row_bytes;
    }

    int64_t width(int64_t buffer) const { return filled(plan_.widths[buffer], LANES); }
    float* at(int64_t buffer, int64_t row) const { return buffers_[buffer] + row * width(buffer); }

    template <typename F>
    void by_rows(const F& work) {
        const int64_t count = batch_.count, each = std::max<int64_t>(1, count / (4 * threads()));
        if (count == 1) return work(0);
        for_each((count + each - 1) / each, [&](int64_t part) {
            for (int64_t row = part * each; row < std::min(part * each + each, count); ++row) work(row);
        });
    }

    void lay_rows(const Matrix& w) {
        rows_ = rows_at(room(scratch_.rows, batch_.count * bytes_of_row(w)), w, batch_.count);
    }

    void embed(int64_t row) {
        float* x = at(0, row);
        const int64_t token = batch_.tokens[row];
        if (batch_.embedded)
            std::memcpy(x, batch_.embedded + row * plan_.width, plan_.width * 4);
        else if (plan_.table)
            std::memcpy(x, plan_.table + token * plan_.width, plan_.width * 4);
        else
            by_.read(*plan_.embedding, token, x);
        if (plan_.embedding_scale != 1.0f)
            for (int64_t i = 0; i < plan_.width; ++i) x[i] *= plan_.embedding_scale;
        if (plan_.places) on_.add(x, plan_.places + batch_.positions[row] * plan_.width, 1.0f, plan_.width);
    }

    void work(const Op& op, int64_t row) {
        float *from = at(op.from, row), *to = at(op.to, row);
        const int64_t wide = op.width;
        if (op.kind == NORM) on_.norm(op.norm, from, wide, to);
        if (op.kind == GATE) on_.gate(op.act, from, op.has_up ? from + wide : nullptr, wide, to);
        if (op.kind == ADD) on_.add(to, from, 1.0f, wide);
        if (op.kind == HEADS) heads(op, row, from, to);
    }

    void heads(const Op& op, int64_t row, float* from, float* to) {
        const int64_t wide = plan_.head_width, heads = plan_.heads, kv_heads = plan_.kv_heads;
        const int64_t position = batch_.positions[row];
        float *keys = from + heads * wide, *values = keys + kv_heads * wide;
        const float* turns = op.rope < 0 ? nullptr : plan_.turns[op.rope] + position * wide;
        if (op.norm.gain && op.is_whole) {
            on_.norm(op.norm, from, heads * wide, from);
            on_.norm(op.key_norm, keys, kv_heads * wide, keys);
        }
        for (int64_t head = 0; head < heads; ++head) {
            float* x = from + head * wide;
            if (op.norm.gain && !op.is_whole) on_.norm(op.norm, x, wide, x);
            on_.turn(x, turns, wide, op.scale);
        }
        std::memcpy(to, from, heads * wide * 4);
        const int32_t block = table_of(row)[position / BLOCK];
        for (int64_t head = 0; head < kv_heads; ++head) {
            float* x = keys + head * wide;
            if (op.norm.gain && !op.is_whole) on_.norm(op.key_norm, x, wide, x);
            on_.turn(x, turns, wide, 1.0f);
            on_.keep(cache_, cache_.head(block, op.layer, head), position % BLOCK, x, values + head * wide);
        }
    }

    const int32_t* table_of(int64_t row) const { return batch_.tables + batch_.sequences[row] * batch_.table_width; }

    void share(const Op& op, bool is_quantised) {
        if (op.kind == ATTEND) return attend(op);
        if (op.kind == EXPERTS) return ask_experts(op);
        const Out out{at(op.to, 0) + op.offset, width(op.to), op.bias, op.adds != 0};
        if (is_quantised)
            multiply(*op.matrix, rows_, out);
        else
            multiply(*op.matrix, at(op.from, 0), width(op.from), batch_.count, out);
        if (batch_.adapted) adapt(op);
    }

    // Each row by itself, from its floats: what others of the pass are adapted by changes nothing.
    void adapt(const Op& op) {
        by_rows([&](int64_t row) {
            if (batch_.adapted[row] < 0) return;
            static thread_local std::vector<float> local;
            for (const Low* low = batch_.adapters[batch_.adapted[row]][&op - plan_.op]; low; low = low->next) {
                const int64_t rank = low->a->outputs;
                float* inner = room(local, filled(rank, LANES));
                on_.multiply(*low->a, at(op.from, row), width(op.from), 0, 1, 0, rank, Out{inner, rank, nullptr, false});
                const Out out{at(op.to, row) + low->begin, width(op.to), nullptr, true};
                on_.multiply(*low->b, inner, rank, 0, 1, 0, low->b->outputs, out);
            }
        });
    }

    // Rows of one sequence that are taken together.
    struct Tile {
        int64_t begin, end;
    };

    void find_tiles() {
        const int64_t most = std::max<int64_t>(1, TILE / (plan_.heads / plan_.kv_heads));
        for (int64_t row = 0; row < batch_.count; ++row) {
            const bool is_next = !tiles_.empty() && batch_.sequences[tiles_.back().begin] == batch_.sequences[row];
            if (is_next && tiles_.back().end - tiles_.back().begin < most)
                tiles_.back().end = row + 1;
            else
                tiles_.push_back({row, row + 1});
        }
    }

    int64_t first_seen(const Op& op, int64_t row) const {
        return op.window ? std::max<int64_t>(0, batch_.positions[row] - op.window + 1) : 0;
    }

    // A query of a tile is numbered row by row, and in a row head by head of those that share keys and values.
    void attend(const Op& op) {
        const int64_t kv_heads = plan_.kv_heads, shared = plan_.heads / kv_heads, step = cache_.value_width();
        int64_t chunks = 1, most = 1;
        for (const Tile& tile : tiles_) {
            const int64_t from = first_seen(op, tile.begin) / CHUNK, to = batch_.positions[tile.end - 1] / CHUNK;
            chunks = std::max(chunks, to - from + 1);
            most = std::max(most, (tile.end - tile.begin) * shared);
        }
        const int64_t tasks = static_cast<int64_t>(tiles_.size()) * kv_heads;
        if (chunks == 1 || tasks >= 4 * threads())
            return for_each(tasks, [&](int64_t task) {
                static thread_local std::vector<float> local;
                float* state = room(local, 2 * most * (step + 2));
                const Tile& tile = tiles_[task / kv_heads];
                gather(op, tile, task % kv_heads, first_seen(op, tile.begin) / CHUNK,
                       batch_.positions[tile.end - 1] / CHUNK, state, state + most * (step + 2));
                finish(op, tile, task % kv_heads, state);
            });
        // Few rows that see much: each chunk is a task, and what they found is put together in their order.
        const int64_t size = most * (step + 2);
        float* found = room(scratch_.partials, (tasks * chunks + 1) * size);
        for_each(tasks * chunks, [&](int64_t task) {
            static thread_local std::vector<float> local;
            const Tile& tile = tiles_[task / chunks / kv_heads];
            const int64_t chunk = first_seen(op, tile.begin) / CHUNK + task % chunks;
            gather(op, tile, task / chunks % kv_heads, chunk, chunk, found + task * size, room(local, size));
        });
        for (int64_t task = 0; task < tasks; ++task) {
            const Tile& tile = tiles_[task / kv_heads];
            const int64_t queries = (tile.end - tile.begin) * shared;
            float* whole = found + task * chunks * size;
            for (int64_t chunk = 1; chunk < chunks; ++chunk)
                for (int64_t query = 0; query < queries; ++query)
                    merge(whole + query * (step + 2), whole + chunk * size + query * (step + 2));
            finish(op, tile, task % kv_heads, whole);
        }
    }

    // A state: the greatest score, the sum, the values.
    void merge(float* whole, const float* part) const {
        Partial a{whole[0], whole[1], whole + 2};
        const Partial b{part[0], part[1], const_cast<float*>(part) + 2};
        on_.merge(a, b, cache_.value_width());
        whole[0] = a.most;
        whole[1] = a.sum;
    }

    // What a tile's queries see from chunk to chunk, put together in `state`; `part` has as much room.
    void gather(const Op& op, const Tile& tile, int64_t kv_head, int64_t from, int64_t to, float* state,
                float* part) const {
        const int64_t shared = plan_.heads / plan_.kv_heads, size = cache_.value_width() + 2;
        const int64_t queries = (tile.end - tile.begin) * shared, last = batch_.positions[tile.end - 1];
        for (int64_t query = 0; query < queries; ++query) {
            state[query * size] = -__builtin_inff();
            std::fill_n(state + query * size + 1, size - 1, 0.0f);
        }
        for (int64_t chunk = from; chunk <= to && chunk * CHUNK <= last; ++chunk)
            for (int64_t query = 0; query < queries; query += MOST_QUERIES) {
                const int64_t count = std::min(MOST_QUERIES, queries - query);
                Queries asked{&cache_, table_of(tile.begin), op.layer, kv_head, {}, {}, {}, op.cap};
                Partial partials[MOST_QUERIES];
                for (int64_t i = 0; i < count; ++i) {
                    const int64_t row = tile.begin + (query + i) / shared, head = (query + i) % shared;
                    asked.vectors[i] = at(op.from, row) + (kv_head * shared + head) * plan_.head_width;
                    asked.first[i] = first_seen(op, row);
                    asked.last[i] = batch_.positions[row];
                    partials[i] = {0.0f, 0.0f, part + i * size + 2};
                }
                on_.attend(asked, count, chunk * CHUNK, partials);
                for (int64_t i = 0; i < count; ++i) {
                    part[i * size] = partials[i].most;
                    part[i * size + 1] = partials[i].sum;
                    merge(state + (query + i) * size, part + i * size);
                }
            }
    }

    void finish(const Op& op, const Tile& tile, int64_t kv_head, const float* state) const {
        const int64_t shared = plan_.heads / plan_.kv_heads, size = cache_.value_width() + 2;
        for (int64_t query = 0; query < (tile.end - tile.begin) * shared; ++query) {
            const float* from = state + query * size;
            float* to = at(op.to, tile.begin + query / shared) + (kv_head * shared + query % shared) * plan_.head_width;
            for (int64_t i = 0; i < plan_.head_width; ++i) to[i] = from[2 + i] / from[1];
        }
    }

    // Each expert speaks for the rows that chose it, one expert after the other: a row adds them up in that order.
    void ask_experts(const Op& op) {
        const Experts& them = *op.experts;
        const int64_t count = batch_.count, wide = plan_.width, inner = them.width;
        float* place = room(scratch_.experts, count * (2 * them.count + 2 * wide + 3 * inner));
        float *shares = place, *taken = shares + count * them.count, *read = taken + count * them.count;
        float *said = read + count * wide, *opened = said + count * wide, *gated = opened + count * 2 * inner;
        multiply(*them.router, at(op.from, 0), width(op.from), count, Out{shares, them.count, nullptr, false});
        by_rows([&](int64_t row) { choose_experts(them, shares + row * them.count, taken + row * them.count); });
        by_rows([&](int64_t row) { std::fill_n(at(op.to, row), wide, 0.0f); });
        std::vector<int64_t> rows;
        for (int64_t expert = 0; expert < them.count; ++expert) {
            rows.clear();
            for (int64_t row = 0; row < count; ++row)
                if (taken[row * them.count + expert] != 0.0f) rows.push_back(row);
            const int64_t here = static_cast<int64_t>(rows.size());
            if (!here) continue;
            for (int64_t i = 0; i < here; ++i) std::memcpy(read + i * wide, at(op.from, rows[i]), wide * 4);
            apply(*them.gate_ups[expert], read, wide, here, Out{opened, 2 * inner, nullptr, false});
            if (them.ups) apply(*them.ups[expert], read, wide, here, Out{opened + inner, 2 * inner, nullptr, false});
            for (int64_t i = 0; i < here; ++i)
                on_.gate(them.act, opened + i * 2 * inner, opened + i * 2 * inner + inner, inner, gated + i * inner);
            apply(*them.downs[expert], gated, inner, here, Out{said, wide, nullptr, false});
            for (int64_t i = 0; i < here; ++i)
                on_.add(at(op.to, rows[i]), said + i * wide, shares[rows[i] * them.count + expert], wide);
        }
    }

    // Softmax of the router's scores; of the `chosen` greatest, marked in `taken`, the first ones where they are equal.
    void choose_experts(const Experts& them, float* scores, float* taken) const {
        float most = scores[0], sum = 0.0f, kept = 0.0f;
        for (int64_t i = 1; i < them.count; ++i) most = std::max(most, scores[i]);
        for (int64_t i = 0; i < them.count; ++i) {
            scores[i] = on_.power(scores[i] - most);
            sum += scores[i];
            taken[i] = 0.0f;
        }
        for (int64_t i = 0; i < them.count; ++i) scores[i] /= sum;
        for (int64_t number = 0; number < them.chosen; ++number) {
            int64_t best = -1;
            for (int64_t i = 0; i < them.count; ++i)
                if (taken[i] == 0.0f && (best < 0 || scores[i] > scores[best])) best = i;
            taken[best] = 1.0f;
            kept += scores[best];
        }
        if (them.is_normed)
            for (int64_t i = 0; i < them.count; ++i) scores[i] /= kept;
    }

    void answer() {
        const int64_t count = batch_.wanted, wide = plan_.width, stride = width(1);
        float* seen = at(1, 0);
        for (int64_t i = 0; i < count; ++i) {
            on_.norm(plan_.last, at(0, batch_.rows[i]), wide, seen + i * stride);
            if (batch_.seen) std::memcpy(batch_.seen + i * wide, seen + i * stride, wide * 4);
        }
        if (batch_.logits && count) unembed(plan_, seen, stride, count, batch_.logits);
    }

    const Plan& plan_;
    const Cache& cache_;
    const Batch& batch_;
    Scratch& scratch_;
    const FloatWork& on_;
    const Path& by_;
    std::vector<float*> buffers_;
    std::vector<Tile> tiles_;
    Rows rows_{};
};

}  // namespace

void unembed(const Plan& plan, const float* seen, int64_t stride, int64_t count, float* logits) {
    const int64_t most = plan.head->outputs;
    apply(*plan.head, seen, stride, count, Out{logits, most, nullptr, false});
    if (plan.cap != 0.0f)
        for_each(count, [&](int64_t i) { path().floats->cap(logits + i * most, plan.cap, most); });
}

void survey(const float* logits, int64_t rows, int64_t count, int64_t drawable, double* totals, int32_t* likeliest) {
    for_each(rows, [&](int64_t row) {
        const Survey found = path().floats->survey(logits + row * count, count, drawable);
        totals[row] = found.total;
        likeliest[row] = found.likeliest;
    });
}

void walk(const Plan& plan, const Cache& cache, const Batch& batch) {
    static thread_local Scratch scratch;
    if (batch.count) Walk(plan, cache, batch, scratch).run();
}

}  // namespace hanlin
