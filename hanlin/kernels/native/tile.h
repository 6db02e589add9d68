// Some rows times some blocks of 16 outputs, kept in registers to the end. Included once by each path, inside a namespace
// of its own, after `Ints` and `Floats` (sixteen of each), `Bytes` (64) and what can be done with them.
//
// Whole numbers add up in any order, and floats are multiplied and added one by one, groups from first to last: every
// path gives the same bits, whatever the sizes of its tiles.

// Unrolled before anything else is done to them: only then are the sums kept in registers.
#define UNROLLED _Pragma("GCC unroll 8")

enum Kind { WHOLE8, GROUPS8, GROUPS4 };

// The sums of codes `begin` to `end`: a multiple of 16 each.
template <int ROWS, int BLOCKS, Kind KIND>
inline void dots(const uint8_t* weights, int64_t block_bytes, const int8_t* codes, int64_t wide, int64_t begin,
                 int64_t end, Ints (&sums)[ROWS][BLOCKS]) {
    if constexpr (KIND == GROUPS4) {
        for (int64_t i = begin; i < end; i += 2 * QUAD) {
            Bytes low[BLOCKS], high[BLOCKS];
            UNROLLED for (int block = 0; block < BLOCKS; ++block)
                halves(weights + block * block_bytes + i * LANES / 2, low[block], high[block]);
            UNROLLED for (int row = 0; row < ROWS; ++row) {
                const Four first = four(codes + row * wide + i), second = four(codes + row * wide + i + QUAD);
                UNROLLED for (int block = 0; block < BLOCKS; ++block)
                    sums[row][block] = dot4(dot4(sums[row][block], low[block], first), high[block], second);
            }
        }
    } else {
        for (int64_t i = begin; i < end; i += QUAD) {
            Bytes quad[BLOCKS];
            UNROLLED for (int block = 0; block < BLOCKS; ++block)
                quad[block] = bytes(weights + block * block_bytes + i * LANES);
            UNROLLED for (int row = 0; row < ROWS; ++row) {
                const Four x = four(codes + row * wide + i);
                UNROLLED for (int block = 0; block < BLOCKS; ++block)
                    sums[row][block] = dot8(sums[row][block], quad[block], x);
            }
        }
    }
}

template <int ROWS, int BLOCKS, Kind KIND>
inline void tile(const Matrix& w, const Rows& x, int64_t first, int64_t column, const Out& out) {
    const int64_t wide = x.wide(), bytes_of_block = w.block_bytes();
    const uint8_t* weights = w.codes + column / LANES * bytes_of_block;
    const int8_t* codes = x.codes + first * wide;
    const int32_t* before = x.sums + first;
    Floats totals[ROWS][BLOCKS];
    if constexpr (KIND == WHOLE8) {
        Ints sums[ROWS][BLOCKS];
        UNROLLED for (int row = 0; row < ROWS; ++row)
            UNROLLED for (int block = 0; block < BLOCKS; ++block)
                sums[row][block] = start8(before[wide / UNIT * x.count + row]);
        dots<ROWS, BLOCKS, KIND>(weights, bytes_of_block, codes, wide, 0, wide, sums);
        UNROLLED for (int row = 0; row < ROWS; ++row)
            UNROLLED for (int block = 0; block < BLOCKS; ++block) totals[row][block] = floats(sums[row][block]);
    } else {
        const int64_t each = LANES * (w.has_minimums ? 2 : 1), groups_of_block = w.block_groups();
        const uint16_t* groups = w.groups + column / LANES * groups_of_block;
        UNROLLED for (int row = 0; row < ROWS; ++row)
            UNROLLED for (int block = 0; block < BLOCKS; ++block) totals[row][block] = all(0.0f);
        for (int64_t begin = 0; begin < w.inputs; begin += w.group, groups += each) {
            const int64_t end = begin + w.group < wide ? begin + w.group : wide;
            const int32_t* after = x.sums + first + end / UNIT * x.count;
            int32_t here[ROWS];
            Ints sums[ROWS][BLOCKS];
            UNROLLED for (int row = 0; row < ROWS; ++row) {
                here[row] = after[row] - before[row];
                const Ints start = KIND == GROUPS8 ? start8(here[row]) : start4(w.has_minimums ? 0 : here[row]);
                UNROLLED for (int block = 0; block < BLOCKS; ++block) sums[row][block] = start;
            }
            dots<ROWS, BLOCKS, KIND>(weights, bytes_of_block, codes, wide, begin, end, sums);
            UNROLLED for (int block = 0; block < BLOCKS; ++block) {
                const Floats scale = halves_of_floats(groups + block * groups_of_block);
                UNROLLED for (int row = 0; row < ROWS; ++row)
                    totals[row][block] = added(totals[row][block], times(floats(sums[row][block]), scale));
            }
            before = after;
            if (w.has_minimums) {
                UNROLLED for (int block = 0; block < BLOCKS; ++block) {
                    const Floats minimum = halves_of_floats(groups + block * groups_of_block + LANES);
                    UNROLLED for (int row = 0; row < ROWS; ++row)
                        totals[row][block] =
                            added(totals[row][block], times(all(static_cast<float>(here[row])), minimum));
                }
            }
        }
    }
    UNROLLED for (int block = 0; block < BLOCKS; ++block) {
        const int64_t output = column + block * LANES;
        const int count = static_cast<int>(w.outputs - output < LANES ? w.outputs - output : LANES);
        const Floats scale = some(w.scales + output, LANES);
        UNROLLED for (int row = 0; row < ROWS; ++row) {
            Floats y = times(times(totals[row][block], scale), all(x.scales[first + row]));
            if (out.bias) y = added(y, some(out.bias + output, count));
            float* place = out.place + (first + row) * out.stride + output;
            if (out.adds) y = added(some(place, count), y);
            keep(place, y, count);
        }
    }
}

// A tile of fewer rows and blocks than the largest, found by counting down.
template <int ROWS, int BLOCKS, Kind KIND>
inline void sized(const Matrix& w, const Rows& x, int64_t first, int rows, int64_t column, int blocks,
                  const Out& out) {
    if constexpr (ROWS > 1)
        if (rows < ROWS) return sized<ROWS - 1, BLOCKS, KIND>(w, x, first, rows, column, blocks, out);
    if constexpr (BLOCKS > 1)
        if (blocks < BLOCKS) return sized<ROWS, BLOCKS - 1, KIND>(w, x, first, rows, column, blocks, out);
    tile<ROWS, BLOCKS, KIND>(w, x, first, column, out);
}

template <int ROWS, int BLOCKS, Kind KIND>
inline void tiles(const Matrix& w, const Rows& x, int64_t begin, int64_t end, int64_t from, int64_t to,
                  const Out& out) {
    for (int64_t column = from; column < to; column += LANES * BLOCKS) {
        const int blocks = static_cast<int>((to - column) / LANES < BLOCKS ? (to - column) / LANES : BLOCKS);
        for (int64_t row = begin; row < end; row += ROWS)
            sized<ROWS, BLOCKS, KIND>(w, x, row, static_cast<int>(end - row < ROWS ? end - row : ROWS), column,
                                      blocks, out);
    }
}

void multiply(const Matrix& w, const Rows& x, int64_t begin, int64_t end, int64_t from, int64_t to, const Out& out) {
    if (!w.groups) return tiles<ROWS_AT_ONCE, BLOCKS_AT_ONCE, WHOLE8>(w, x, begin, end, from, to, out);
    if (w.bits == 8) return tiles<GROUPED_ROWS, GROUPED_BLOCKS, GROUPS8>(w, x, begin, end, from, to, out);
    return tiles<GROUPED_ROWS, GROUPED_BLOCKS, GROUPS4>(w, x, begin, end, from, to, out);
}
