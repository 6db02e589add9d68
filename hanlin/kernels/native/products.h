// Products shared out among the threads.
#pragma once
#include "rows.h"

namespace hanlin {

void quantise(const float* x, int64_t stride, const Rows& rows);
void multiply(const Matrix& w, const Rows& x, const Out& out);
void multiply(const Matrix& w, const float* x, int64_t stride, int64_t count, const Out& out);  // of a matrix of floats

// Memory for a row in bytes, as a matrix wants it, and `count` of them laid out there.
int64_t bytes_of_row(const Matrix& w);
Rows rows_at(unsigned char* place, const Matrix& w, int64_t count);

// Whatever the matrix is of: rows of floats in, quantised first if need be, some after others.
void apply(const Matrix& w, const float* x, int64_t stride, int64_t count, const Out& out);

}  // namespace hanlin
