// Numbers, dates and the elements of typed arrays as JavaScript writes and reads them; for JSON and
// for `inspect`. Pure; any thread.
#pragma once

#include <cstddef>
#include <string>

#include "cohort/value.h"

namespace cohort::ipc {

/// As JavaScript's `String(number)`: the shortest digits that read back as the same number, `NaN`,
/// `Infinity`, `0` for -0, exponents from 1e+21 and below 1e-6.
void append_number(double number, std::string& out);

/// As `Date.prototype.toISOString`: `1970-01-01T00:00:00.000Z`. `ms` is that of a valid Date.
std::string iso_date(double ms);

/// The number at `bytes` in a Buffer or typed array, but not one of BigInts. They may lie anywhere.
double binary_element(Binary kind, const std::byte* bytes) noexcept;

}  // namespace cohort::ipc
