// How Node's `util.inspect` (thus `console.log`) prints a value, for people and for logs.
//
// Pure; any thread. Mirrors Node 20 to 26 with the default options: depth 2, 80 columns, three
// inner levels on one line, arrays of more than six elements in columns, 100 elements, 10 000
// characters of a string. Known differences: integer-like keys keep their place (JavaScript sorts
// them first); a BigInt of more than 1024 words is printed in hexadecimal; the width of characters
// outside of the common wide blocks is taken as one column.
#pragma once

#include <string>

#include "cohort/value.h"

namespace cohort::ipc {

/// A string comes in quotes; `operator<<` prints one without.
std::string inspect(const Value& value);

}  // namespace cohort::ipc
