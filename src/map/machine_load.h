// How busy the machine is. From any thread; each call reads a small file of /proc.
#pragma once

#include <cstdint>

namespace cohort::map {

/// Bytes that can be had without swapping. Not known: as many as there can be.
std::uint64_t memory_available();
/// Of the last minute. Not known: 0.
double load_average();

}  // namespace cohort::map
