#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "binary_work.h"

namespace {

using Byte = unsigned char;
// The next row of an image, from some row on: valid until the next call.
using NextRow = std::function<const Byte*()>;

// The mean of the 2 * radius + 1 bytes whose sum is given: `sum * weight >> 16`. All fits 16 and 32
// bits up to radius 128, and never exceeds 255.
std::uint32_t weight_of(std::size_t radius) {
  const std::size_t count = 2 * radius + 1;
  return static_cast<std::uint32_t>((65536 + count - 1) / count);
}

Byte mean(std::uint32_t sum, std::uint32_t weight) { return static_cast<Byte>(sum * weight >> 16); }

// One pass of box blur, row by row: of each row that comes it keeps the horizontal means while they
// are within `radius` of the row that is next, and the sum of each column. So no image is between
// the passes, and what they work on stays in the cache.
class Blur {
 public:
  // `from` gives the rows from `first_needed(first, radius)` on; the result those from `first` on.
  Blur(NextRow from, const Image& image, std::size_t radius, std::size_t first)
      : from_{std::move(from)},
        row_size_{image.row_size()},
        height_{image.height},
        radius_{radius},
        weight_{weight_of(radius)},
        came_{first_needed(first, radius)},
        next_{first},
        kept_((2 * radius + 2) * row_size_),
        padded_(row_size_ + 6 * radius + 6),
        sums_(row_size_),
        out_(row_size_) {
    for (std::size_t i = 0; i <= 2 * radius; ++i) {
      const Byte* row = kept_row(i + first);
      for (std::size_t x = 0; x < row_size_; ++x)
        sums_[x] = static_cast<std::uint16_t>(sums_[x] + row[x]);
    }
  }

  static std::size_t first_needed(std::size_t first, std::size_t radius) {
    return first - std::min(first, radius);
  }

  const Byte* operator()() {
    for (std::size_t x = 0; x < row_size_; ++x) out_[x] = mean(sums_[x], weight_);
    if (++next_ < height_) {
      const Byte* goes = kept_row(next_ - 1);
      const Byte* comes = kept_row(next_ + 2 * radius_);
      for (std::size_t x = 0; x < row_size_; ++x)
        sums_[x] = static_cast<std::uint16_t>(sums_[x] + comes[x] - goes[x]);
    }
    return out_.data();
  }

 private:
  // The horizontal means of row `below - radius`, or of the nearest one that there is.
  const Byte* kept_row(std::size_t below) {
    const std::size_t row = std::min(below - std::min(below, radius_), height_ - 1);
    for (; came_ <= row; ++came_) blur_row(from_(), place_of(came_));
    return place_of(row);
  }
  Byte* place_of(std::size_t row) { return &kept_[row % (2 * radius_ + 2) * row_size_]; }

  void blur_row(const Byte* row, Byte* out) {
    Byte* begin = padded_.data() + 3 * radius_;
    std::memcpy(begin, row, row_size_);
    for (std::size_t i = 0; i < radius_; ++i) std::memcpy(&padded_[3 * i], row, 3);
    for (std::size_t i = 0; i <= radius_; ++i)
      std::memcpy(begin + row_size_ + 3 * i, row + row_size_ - 3, 3);
    const Byte* goes = padded_.data();
    const Byte* comes = goes + 3 * (2 * radius_ + 1);
    std::uint32_t red = 0, green = 0, blue = 0;
    for (const Byte* at = goes; at < comes; at += 3) red += at[0], green += at[1], blue += at[2];
    for (std::size_t x = 0; x < row_size_; x += 3) {
      out[x] = mean(red, weight_);
      out[x + 1] = mean(green, weight_);
      out[x + 2] = mean(blue, weight_);
      red += comes[x] - std::uint32_t{goes[x]};
      green += comes[x + 1] - std::uint32_t{goes[x + 1]};
      blue += comes[x + 2] - std::uint32_t{goes[x + 2]};
    }
  }

  NextRow from_;
  std::size_t row_size_, height_, radius_;
  std::uint32_t weight_;
  std::size_t came_;  // rows of `from` from this one on are still to come
  std::size_t next_;
  std::vector<Byte> kept_, padded_;
  std::vector<std::uint16_t> sums_;
  std::vector<Byte> out_;
};

// The rows of the blurred image from `first` on.
NextRow blurred_rows(const Image& image, const ImageJob& job, std::size_t first,
                     std::size_t passes) {
  if (passes == 0)
    return [&file = image.file, at = image.pixels + first * image.row_size(),
            row = std::vector<Byte>(image.row_size())]() mutable {
      file.read(std::exchange(at, at + row.size()), std::as_writable_bytes(std::span{row}));
      return std::as_const(row).data();
    };
  NextRow before = blurred_rows(image, job, Blur::first_needed(first, job.radius), passes - 1);
  auto pass = std::make_shared<Blur>(std::move(before), image, job.radius, first);
  return [pass] { return (*pass)(); };
}

// The rows `from` to `to` of the result.
void make_rows(const Image& image, const ImageJob& job, std::size_t from, std::size_t to,
               Byte* out) {
  const NextRow next = blurred_rows(image, job, from * job.shrink, job.passes);
  const std::size_t width = image.width / job.shrink;
  std::vector<std::uint32_t> sums(image.row_size());
  for (std::size_t y = from; y < to; ++y) {
    std::fill(sums.begin(), sums.end(), 0);
    for (std::size_t k = 0; k < job.shrink; ++k) {
      const Byte* row = next();
      for (std::size_t x = 0; x < sums.size(); ++x) sums[x] += row[x];
    }
    const auto count = static_cast<std::uint32_t>(job.shrink * job.shrink);
    for (std::size_t x = 0; x < width; ++x)
      for (std::size_t colour = 0; colour < 3; ++colour) {
        std::uint32_t sum = 0;
        for (std::size_t k = 0; k < job.shrink; ++k) sum += sums[(x * job.shrink + k) * 3 + colour];
        *out++ = static_cast<Byte>(sum / count);
      }
  }
}

std::string header_of(std::size_t width, std::size_t height) {
  return "P6\n" + std::to_string(width) + ' ' + std::to_string(height) + "\n255\n";
}

}  // namespace

Image decode_ppm(Source file) {
  std::string bytes(std::min<std::uint64_t>(file.size, 4096), '\0');
  file.read(0, std::as_writable_bytes(std::span{bytes}));
  std::size_t numbers[3];  // width, height, the largest value
  std::size_t at = 2;
  if (!std::string_view{bytes}.starts_with("P6"))
    throw std::runtime_error{"not a binary PPM image (P6)"};
  for (std::size_t& number : numbers) {
    at = bytes.find_first_not_of(" \t\r\n", at);
    while (at < bytes.size() && bytes[at] == '#')  // comments run to the end of their line
      at = bytes.find_first_not_of(" \t\r\n", std::min(bytes.find('\n', at), bytes.size()));
    if (at >= bytes.size()) throw std::runtime_error{"the image ends within its header"};
    const auto [end, error] =
        std::from_chars(bytes.data() + at, bytes.data() + bytes.size(), number);
    if (error != std::errc{}) throw std::runtime_error{"the header is not numbers"};
    at = static_cast<std::size_t>(end - bytes.data());
  }
  const auto [width, height, largest] = numbers;
  if (largest != 255) throw std::runtime_error{"only 8 bits per colour"};
  const std::uint64_t pixels = std::min<std::uint64_t>(at + 1, file.size);
  if (width == 0 || height == 0 || width > (file.size - pixels) / 3 / height)
    throw std::runtime_error{"the image has fewer pixels than its header says"};
  return {width, height, std::move(file), pixels};
}

Shape shape_after(const Image& image, const ImageJob& job) {
  if (job.radius > 128 || job.passes > 16 || job.shrink < 1 || job.shrink > 64)
    throw std::runtime_error{"radius is 0 to 128, passes 0 to 16, shrink 1 to 64"};
  const std::size_t width = image.width / job.shrink, height = image.height / job.shrink;
  if (width == 0 || height == 0) throw std::runtime_error{"nothing is left of so small an image"};
  return {width, height, header_of(width, height).size() + width * height * 3};
}

void blur_and_shrink(const Image& image, const ImageJob& job, std::span<std::byte> out) {
  const std::size_t width = image.width / job.shrink, height = image.height / job.shrink;
  const std::string header = header_of(width, height);
  std::memcpy(out.data(), header.data(), header.size());
  Byte* const pixels = reinterpret_cast<Byte*>(out.data()) + header.size();
  const std::size_t bands = std::min<std::size_t>(cohort::available_parallelism(), height);
  auto parts = in_parallel(bands, [&](std::size_t i) {
    const std::size_t from = height * i / bands, to = height * (i + 1) / bands;
    make_rows(image, job, from, to, pixels + from * width * 3);
  });
  for (auto& part : parts) part.get();
}
