// Which instructions this processor has, and which are used.
#pragma once
#include "rows.h"

namespace hanlin {

const Path& path();

// The path of that name from now on, of none the best; 1: there is no such path, 2: this processor has it not.
int choose(const char* name);

}  // namespace hanlin
