// Some rows times some blocks of 16 outputs, kept in registers to the end. Included once by each path, inside a namespace
// of its own, after `Ints` and `Floats` (sixteen of each), `Bytes` (64) and what can be done with them.
//
// Whole numbers add up in any order, and floats are multiplied and added one by one, groups from first to last: every
// path gives the same bits, whatever the sizes of its tiles.

// Unrolled before anything else is done to them: only then are the sums kept in registers.
#define UNROLLED _Pragma("GCC unroll 8")

enum Kind { WHOLE8, GROUPS8, GROUPS4 };

// Weights that will be wanted next, and are fetched along the way: a block's, or as many blocks' as a tile has.
struct Ahead {
    const uint8_t* block;  // or none
    bool is_whole_tile;
};

template <int BLOCKS>
inline void fetch(const Ahead& ahead, int64_t block_bytes, int64_t at) {
    if (!ahead.block) return;
    __builtin_prefetch(ahead.block + at, 0, 2);
    if (ahead.is_whole_tile)
        UNROLLED for (int block = 1; block < BLOCKS; ++block)
            __builtin_prefetch(ahead.block + block * block_bytes + at, 0, 2);
}

// The sums of codes `begin` to `end`: a multiple of 16 each.
template <int ROWS, int BLOCKS, Kind KIND>
inline void dots(const uint8_t* weights, int64_t block_bytes, const int8_t* codes, int64_t stride, int64_t begin,
                 int64_t end, const Ahead& ahead, Ints (&sums)[ROWS][BLOCKS]) {
    if constexpr (KIND == GROUPS4) {
        for (int64_t i = begin; i < end; i += 2 * QUAD) {
            fetch<BLOCKS>(ahead, block_bytes, i * LANES / 2);
            Bytes low[BLOCKS], high[BLOCKS];
            UNROLLED for (int block = 0; block < BLOCKS; ++block)
                halves(weights + block * block_bytes + i * LANES / 2, low[block], high[block]);
            UNROLLED for (int row = 0; row < ROWS; ++row) {
                const Four first = four(codes + row * stride + i), second = four(codes + row * stride + i + QUAD);
                UNROLLED for (int block = 0; block < BLOCKS; ++block)
                    sums[row][block] = dot4(dot4(sums[row][block], low[block], first), high[block], second);
            }
        }
    } else {
        for (int64_t i = begin; i < end; i += QUAD) {
            fetch<BLOCKS>(ahead, block_bytes, i * LANES);
            Bytes quad[BLOCKS];
            UNROLLED for (int block = 0; block < BLOCKS; ++block)
                quad[block] = bytes(weights + block * block_bytes + i * LANES);
            UNROLLED for (int row = 0; row < ROWS; ++row) {
                const Four x = four(codes + row * stride + i);
                UNROLLED for (int block = 0; block < BLOCKS; ++block)
                    sums[row][block] = dot8(sums[row][block], quad[block], x);
            }
        }
    }
}

template <Kind KIND>
inline Ints started(const Matrix& w, int32_t sum) {
    if constexpr (KIND == GROUPS4) return start4(w.has_minimums ? 0 : sum);
    return start8(sum);
}

// The fours of a row that have second bytes, from first to last.
struct Large {
    const uint16_t *at, *end;
    const int8_t* second;
};

// Adds what the second bytes of a row give that come before code `end`.
template <int BLOCKS, Kind KIND>
inline void add_second(const Matrix& w, const uint8_t* weights, Large& large, int64_t end, int32_t sum,
                       const Floats (&scale)[BLOCKS], Floats (&totals)[BLOCKS]) {
    if (large.at == large.end || *large.at * QUAD >= end) return;
    const int64_t block_bytes = w.block_bytes();
    Ints sums[BLOCKS];
    UNROLLED for (int block = 0; block < BLOCKS; ++block) sums[block] = started<KIND>(w, sum);
    for (; large.at != large.end && *large.at * QUAD < end; ++large.at) {
        const int64_t i = *large.at * QUAD;
        const Four x = four(large.second + i);
        UNROLLED for (int block = 0; block < BLOCKS; ++block) {
            if constexpr (KIND == GROUPS4) {
                Bytes low, high;
                halves(weights + block * block_bytes + i / (2 * QUAD) * QUAD * LANES, low, high);
                sums[block] = dot4(sums[block], i % (2 * QUAD) ? high : low, x);
            } else {
                sums[block] = dot8(sums[block], bytes(weights + block * block_bytes + i * LANES), x);
            }
        }
    }
    UNROLLED for (int block = 0; block < BLOCKS; ++block)
        totals[block] = added(totals[block], times(times(floats(sums[block]), all(255.0f)), scale[block]));
}

template <int ROWS, int BLOCKS, Kind KIND, int BYTES>
inline void tile(const Matrix& w, const Rows& x, int64_t first, int64_t column, const Ahead& ahead, const Out& out) {
    const int64_t wide = x.wide(), stride = wide * BYTES, bytes_of_block = w.block_bytes(), lines = x.count * BYTES;
    const uint8_t* weights = w.codes + column / LANES * bytes_of_block;
    const int8_t* codes = x.codes + first * stride;
    const int32_t* before = x.sums + first * BYTES;
    Large large[ROWS];
    if constexpr (BYTES == 2)
        UNROLLED for (int row = 0; row < ROWS; ++row) {
            const uint16_t* of_row = x.large_of(first + row);
            large[row] = {of_row + 1, of_row + 1 + *of_row, codes + row * stride + wide};
        }
    Floats totals[ROWS][BLOCKS];
    if constexpr (KIND == WHOLE8) {
        const int32_t* whole = before + wide / UNIT * lines;
        Ints sums[ROWS][BLOCKS];
        UNROLLED for (int row = 0; row < ROWS; ++row)
            UNROLLED for (int block = 0; block < BLOCKS; ++block) sums[row][block] = start8(whole[row * BYTES]);
        dots<ROWS, BLOCKS, KIND>(weights, bytes_of_block, codes, stride, 0, wide, ahead, sums);
        UNROLLED for (int row = 0; row < ROWS; ++row)
            UNROLLED for (int block = 0; block < BLOCKS; ++block) totals[row][block] = floats(sums[row][block]);
        if constexpr (BYTES == 2) {
            Floats one[BLOCKS];
            UNROLLED for (int block = 0; block < BLOCKS; ++block) one[block] = all(1.0f);
            UNROLLED for (int row = 0; row < ROWS; ++row)
                add_second<BLOCKS, KIND>(w, weights, large[row], wide, whole[row * BYTES + 1], one, totals[row]);
        }
    } else {
        const int64_t each = LANES * (w.has_minimums ? 2 : 1), groups_of_block = w.block_groups();
        const uint16_t* groups = w.groups + column / LANES * groups_of_block;
        UNROLLED for (int row = 0; row < ROWS; ++row)
            UNROLLED for (int block = 0; block < BLOCKS; ++block) totals[row][block] = all(0.0f);
        for (int64_t begin = 0; begin < w.inputs; begin += w.group, groups += each) {
            const int64_t end = begin + w.group < wide ? begin + w.group : wide;
            const int32_t* after = x.sums + first * BYTES + end / UNIT * lines;
            int32_t here[ROWS];
            Ints sums[ROWS][BLOCKS];
            UNROLLED for (int row = 0; row < ROWS; ++row) {
                here[row] = after[row * BYTES] - before[row * BYTES];
                UNROLLED for (int block = 0; block < BLOCKS; ++block) sums[row][block] = started<KIND>(w, here[row]);
            }
            dots<ROWS, BLOCKS, KIND>(weights, bytes_of_block, codes, stride, begin, end, ahead, sums);
            Floats scale[BLOCKS];
            UNROLLED for (int block = 0; block < BLOCKS; ++block) {
                scale[block] = halves_of_floats(groups + block * groups_of_block);
                UNROLLED for (int row = 0; row < ROWS; ++row)
                    totals[row][block] = added(totals[row][block], times(floats(sums[row][block]), scale[block]));
            }
            if constexpr (BYTES == 2)
                UNROLLED for (int row = 0; row < ROWS; ++row) {
                    const int32_t second = after[row * BYTES + 1] - before[row * BYTES + 1];
                    add_second<BLOCKS, KIND>(w, weights, large[row], end, second, scale, totals[row]);
                }
            if (w.has_minimums) {
                UNROLLED for (int block = 0; block < BLOCKS; ++block) {
                    const Floats minimum = halves_of_floats(groups + block * groups_of_block + LANES);
                    UNROLLED for (int row = 0; row < ROWS; ++row) {
                        float sum = static_cast<float>(here[row]);
                        if constexpr (BYTES == 2)
                            sum += 255.0f * static_cast<float>(after[row * BYTES + 1] - before[row * BYTES + 1]);
                        totals[row][block] = added(totals[row][block], times(all(sum), minimum));
                    }
                }
            }
            before = after;
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
template <int ROWS, int BLOCKS, Kind KIND, int BYTES>
inline void sized(const Matrix& w, const Rows& x, int64_t first, int rows, int64_t column, int blocks,
                  const Ahead& ahead, const Out& out) {
    if constexpr (ROWS > 1)
        if (rows < ROWS) return sized<ROWS - 1, BLOCKS, KIND, BYTES>(w, x, first, rows, column, blocks, ahead, out);
    if constexpr (BLOCKS > 1)
        if (blocks < BLOCKS) return sized<ROWS, BLOCKS - 1, KIND, BYTES>(w, x, first, rows, column, blocks, ahead, out);
    tile<ROWS, BLOCKS, KIND, BYTES>(w, x, first, column, ahead, out);
}

template <int ROWS, int BLOCKS, Kind KIND, int BYTES>
inline void tiles(const Matrix& w, const Rows& x, int64_t begin, int64_t end, int64_t from, int64_t to,
                  const Out& out) {
    for (int64_t column = from; column < to; column += LANES * BLOCKS) {
        const int blocks = static_cast<int>((to - column) / LANES < BLOCKS ? (to - column) / LANES : BLOCKS);
        // While these weights serve one row after another, the next ones come: a block with each of the first tiles, or all
        // at once if there is but one tile.
        const uint8_t* next = w.codes + (column / LANES + BLOCKS) * w.block_bytes();
        const bool is_only = end - begin <= ROWS;
        int64_t coming = (to - column) / LANES - BLOCKS;
        coming = is_only && coming < BLOCKS ? 0 : coming < BLOCKS ? coming : BLOCKS;
        for (int64_t row = begin; row < end; row += ROWS, next += w.block_bytes(), --coming)
            sized<ROWS, BLOCKS, KIND, BYTES>(w, x, row, static_cast<int>(end - row < ROWS ? end - row : ROWS), column,
                                             blocks, Ahead{coming > 0 ? next : nullptr, is_only}, out);
    }
}

// A single row leaves registers for more blocks.
template <int ROWS, int BLOCKS, Kind KIND, int BYTES>
inline void shaped(const Matrix& w, const Rows& x, int64_t begin, int64_t end, int64_t from, int64_t to, const Out& out) {
    if (end - begin == 1) return tiles<1, BLOCKS_OF_ONE, KIND, BYTES>(w, x, begin, end, from, to, out);
    tiles<ROWS, BLOCKS, KIND, BYTES>(w, x, begin, end, from, to, out);
}

template <int BYTES>
inline void multiply_by(const Matrix& w, const Rows& x, int64_t begin, int64_t end, int64_t from, int64_t to,
                        const Out& out) {
    if (!w.groups) return shaped<ROWS_AT_ONCE, BLOCKS_AT_ONCE, WHOLE8, BYTES>(w, x, begin, end, from, to, out);
    if (w.bits == 8) return shaped<GROUPED_ROWS, GROUPED_BLOCKS, GROUPS8, BYTES>(w, x, begin, end, from, to, out);
    return shaped<GROUPED_ROWS, GROUPED_BLOCKS, GROUPS4, BYTES>(w, x, begin, end, from, to, out);
}

void multiply(const Matrix& w, const Rows& x, int64_t begin, int64_t end, int64_t from, int64_t to, const Out& out) {
    return x.bytes == 2 ? multiply_by<2>(w, x, begin, end, from, to, out)
                        : multiply_by<1>(w, x, begin, end, from, to, out);
}
