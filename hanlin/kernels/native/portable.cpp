// Any processor.
#include <algorithm>
#include <cstring>

#include "rows.h"

namespace hanlin {
namespace portable {
#include "plain.h"

#include "body.h"
}  // namespace portable
const Path PORTABLE{"portable", portable::quantise, portable::multiply, portable::pack};
}  // namespace hanlin
