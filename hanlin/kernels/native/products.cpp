#include "products.h"

#include <algorithm>
#include <vector>

#include "paths.h"
#include "plan.h"
#include "threads.h"

namespace hanlin {
namespace {

constexpr int64_t COLUMNS = 256, ROWS = 192;  // of a task: 256 × 576 weights and as many rows stay in a core's cache
constexpr int64_t FEWEST = 64;                // columns, a path's tile
constexpr int64_t BETWEEN = 8 << 20;          // bytes of rows at a time

// Columns of a task: few enough that every thread has some, and of one row a run that streams from memory.
int64_t columns_of(int64_t wide, int64_t down) {
    const int64_t shared = filled(wide * down / (4 * threads()) + 1, FEWEST);
    return std::max(FEWEST, std::min(COLUMNS, shared));
}

template <typename F>
void share(int64_t outputs, int64_t rows, const F& work) {
    const int64_t wide = filled(outputs, LANES), down = (rows + ROWS - 1) / ROWS;
    const int64_t columns = rows > 1 ? columns_of(wide, down) : std::max(FEWEST, filled(wide / (4 * threads()) + 1, FEWEST));
    const int64_t across = (wide + columns - 1) / columns;
    for_each(across * down, [&](int64_t task) {
        const int64_t from = task % across * columns, begin = task / across * ROWS;
        work(begin, std::min(begin + ROWS, rows), from, std::min(from + columns, wide));
    });
}

}  // namespace

void quantise(const float* x, int64_t stride, const Rows& rows) {
    const Path& by = path();
    const int64_t each = std::max<int64_t>(1, (1 << 16) / std::max<int64_t>(1, rows.inputs));
    for_each((rows.count + each - 1) / each, [&](int64_t part) {
        by.quantise(x, stride, rows, part * each, std::min(part * each + each, rows.count));
    });
}

void multiply(const Matrix& w, const Rows& x, const Out& out) {
    const Path& by = path();
    share(w.outputs, x.count, [&](int64_t begin, int64_t end, int64_t from, int64_t to) {
        by.multiply(w, x, begin, end, from, to, out);
    });
}

void multiply(const Matrix& w, const float* x, int64_t stride, int64_t count, const Out& out) {
    const FloatWork& on = *path().floats;
    share(w.outputs, count, [&](int64_t begin, int64_t end, int64_t from, int64_t to) {
        on.multiply(w, x, stride, begin, end, from, to, out);
    });
}

int64_t bytes_of_row(const Matrix& w) {
    return w.row_bytes * (w.wide() + (w.wide() / UNIT + 1) * 4) + 4 + filled(1 + w.wide() / QUAD, 2) * 2;
}

Rows rows_at(unsigned char* place, const Matrix& w, int64_t count) {
    Rows rows{reinterpret_cast<int8_t*>(place), nullptr, nullptr, nullptr, count, w.inputs, w.row_bytes};
    rows.scales = reinterpret_cast<float*>(place + count * w.row_bytes * rows.wide());
    rows.sums = reinterpret_cast<int32_t*>(rows.scales + count);
    rows.large = reinterpret_cast<uint16_t*>(rows.sums + count * w.row_bytes * (rows.wide() / UNIT + 1));
    return rows;
}

// What lies between is kept for the next call.
void apply(const Matrix& w, const float* x, int64_t stride, int64_t count, const Out& out) {
    if (w.bits == 32) return multiply(w, x, stride, count, out);
    static thread_local std::vector<unsigned char> between;
    const int64_t one = bytes_of_row(w), each = std::max<int64_t>(1, std::min(count, BETWEEN / one));
    if (static_cast<int64_t>(between.size()) < each * one) between.resize(each * one);
    for (int64_t row = 0; row < count; row += each) {
        const Rows rows = rows_at(between.data(), w, std::min(each, count - row));
        quantise(x + row * stride, stride, rows);
        multiply(w, rows, Out{out.place + row * out.stride, out.stride, out.bias, out.adds});
    }
}

}  // namespace hanlin
