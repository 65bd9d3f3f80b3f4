// The work of examples/binary_worker.cc. Each function throws std::runtime_error with what a caller
// should read, and uses as many threads as it has CPUs.
#pragma once

#include <cohort/cohort.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Called on the thread of the caller, with 0 to 1.
using Progress = std::function<void(double)>;

// Bytes that are copied out in pieces, on any thread: so they are looked at once, whoever may
// change them meanwhile.
struct Source {
  std::uint64_t size;
  std::function<void(std::uint64_t offset, std::span<std::byte> to)> read;
};

// binary_digest.cc: { sha256: hex, bytes, histogram: Float64Array(256) }
cohort::Value digest(std::string_view bytes, const Progress& progress);
cohort::Value digest_of_file(const std::string& path);

// binary_image.cc: box blur of a PPM image (P6, 8 bits), `passes` times, with the pixels of the
// edge repeated beyond it; then each block of shrink x shrink pixels becomes one, their mean.
struct ImageJob {
  std::size_t radius = 4;  // 0 to 128
  std::size_t passes = 1;  // 0 to 16
  std::size_t shrink = 1;  // 1 to 64
};
struct Image {
  std::size_t width, height;
  Source file;
  std::uint64_t pixels;  // where they begin in it, three bytes each
  std::size_t row_size() const { return width * 3; }
};
struct Shape {
  std::size_t width, height, bytes;  // of the whole PPM file
};
/// Its header ends within 4 KiB.
Image decode_ppm(Source file);
Shape shape_after(const Image& image, const ImageJob& job);
/// `out` has `shape_after(...).bytes`.
void blur_and_shrink(const Image& image, const ImageJob& job, std::span<std::byte> out);

// binary_table.cc: a Map from each text in the column `key` to { count, sum, min, max } of the
// whole numbers in the column `value`. CSV whose first line names the columns; no quotes.
cohort::Value aggregate(const Source& csv, std::string_view key, std::string_view value);

/// Calls `work(0)` to `work(parts - 1)`, each on a thread of its own, and waits for all.
template <class Work>
auto in_parallel(std::size_t parts, const Work& work) {
  using Part = decltype(work(std::size_t{}));
  std::vector<std::future<Part>> futures;
  for (std::size_t i = 0; i < parts; ++i)
    futures.push_back(std::async(std::launch::async, work, i));
  return futures;  // the destructor of each waits, `get` gives what it returned or threw
}
