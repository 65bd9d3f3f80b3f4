// Big binary work for a Node program, in C++: `examples/node/binary_parent.js` and `pool.js` fork
// it.
//
//   child.send({ id: 1, op: 'digest', data: buffer })            serialization: 'advanced'
//   child.send({ id: 2, op: 'digest', path: '/a/large/file' })
//   child.send({ id: 3, op: 'blur', data: ppm, radius: 8 })      a PPM image (P6, 8 bits)
//
// Answers are { id, result } or { id, error }; before a long one, { id, progress: 0..1 }.
//   digest   { sha256: hex, bytes, histogram: Float64Array(256) }
//   blur     { image: Buffer, width, height }
#include <cohort/cohort.h>
#include <openssl/evp.h>

#include <array>
#include <charconv>
#include <fstream>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

using cohort::Value;

namespace {

using Progress = std::function<void(double)>;

constexpr std::size_t kPiece = std::size_t{8} << 20;

class Digest {
 public:
  Digest() { EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr); }

  void add(std::string_view bytes) {
    EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
    size_ += bytes.size();
    // Four tables, so that equal neighbours do not wait for each other.
    std::array<std::array<std::uint32_t, 256>, 4> counts{};
    std::size_t i = 0;
    for (; i + 4 <= bytes.size(); i += 4)
      for (std::size_t k = 0; k < 4; ++k) ++counts[k][static_cast<unsigned char>(bytes[i + k])];
    for (; i < bytes.size(); ++i) ++counts[0][static_cast<unsigned char>(bytes[i])];
    for (const auto& table : counts)
      for (std::size_t b = 0; b < 256; ++b) histogram_[b] += table[b];
  }

  Value result() {
    std::array<unsigned char, 32> hash;
    EVP_DigestFinal_ex(context_.get(), hash.data(), nullptr);
    std::string hex;
    for (const unsigned char byte : hash)
      for (const int digit : {byte >> 4, byte & 15}) hex += "0123456789abcdef"[digit];
    return {{"sha256", hex}, {"bytes", size_}, {"histogram", Value::typed_array(histogram_)}};
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_{EVP_MD_CTX_new(),
                                                                   &EVP_MD_CTX_free};
  std::size_t size_ = 0;
  std::vector<double> histogram_ = std::vector<double>(256);
};

Value digest_of_bytes(std::string_view bytes, const Progress& progress) {
  Digest digest;
  for (std::size_t at = 0; at < bytes.size(); at += kPiece) {
    digest.add(bytes.substr(at, kPiece));
    progress(static_cast<double>(std::min(at + kPiece, bytes.size())) /
             static_cast<double>(bytes.size()));
  }
  return digest.result();
}

Value digest_of_file(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  if (!file) throw std::runtime_error{path + ": cannot be read"};
  Digest digest;
  std::string piece(std::size_t{1} << 20, '\0');
  while (file.read(piece.data(), static_cast<std::streamsize>(piece.size())), file.gcount() > 0)
    digest.add({piece.data(), static_cast<std::size_t>(file.gcount())});
  return digest.result();
}

// --- images

struct Image {
  std::size_t width = 0, height = 0;
  std::vector<unsigned char> pixels;  // three bytes each
};

Image decode_ppm(std::string_view bytes) {
  std::size_t numbers[3];  // width, height, the largest value
  std::size_t at = 2;
  if (!bytes.starts_with("P6")) throw std::runtime_error{"not a binary PPM image (P6)"};
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
  const std::string_view pixels = bytes.substr(std::min(at + 1, bytes.size()));
  if (width == 0 || height == 0 || width > pixels.size() / 3 / height)
    throw std::runtime_error{"the image has fewer pixels than its header says"};
  return {width,
          height,
          {pixels.begin(), pixels.begin() + static_cast<std::ptrdiff_t>(width * height * 3)}};
}

// One line of `count` pixels, `step` bytes from one to the next: each becomes the mean of those
// within `radius`. A running sum, so that the radius costs nothing.
void blur_line(const unsigned char* from, unsigned char* to, std::size_t count, std::size_t step,
               std::size_t radius) {
  for (std::size_t colour = 0; colour < 3; ++colour) {
    std::size_t sum = 0, inside = std::min(radius, count);
    for (std::size_t i = 0; i < inside; ++i) sum += from[i * step + colour];
    for (std::size_t i = 0; i < count; ++i) {
      if (i + radius < count) sum += from[(i + radius) * step + colour], ++inside;
      if (i > radius) sum -= from[(i - radius - 1) * step + colour], --inside;
      to[i * step + colour] = static_cast<unsigned char>(sum / inside);
    }
  }
}

Value blur(std::string_view ppm, std::size_t radius, const Progress& progress) {
  Image image = decode_ppm(ppm);
  std::vector<unsigned char> across(image.pixels.size());
  const std::size_t row = image.width * 3;
  for (std::size_t y = 0; y < image.height; ++y)
    blur_line(&image.pixels[y * row], &across[y * row], image.width, 3, radius);
  progress(0.5);
  std::string out =
      "P6\n" + std::to_string(image.width) + ' ' + std::to_string(image.height) + "\n255\n";
  const std::size_t head = out.size();
  for (std::size_t x = 0; x < image.width; ++x)
    blur_line(&across[x * 3], &image.pixels[x * 3], image.height, row, radius);
  out.resize(head + image.pixels.size());
  std::copy(image.pixels.begin(), image.pixels.end(),
            out.begin() + static_cast<std::ptrdiff_t>(head));
  progress(1);
  return {
      {"image", Value::buffer(std::move(out))}, {"width", image.width}, {"height", image.height}};
}

std::string_view bytes_of(const Value& data) {
  const auto bytes = data.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Value work(const Value& job, const Progress& progress) {
  if (job["op"] == "digest" && job["path"].is_string())
    return digest_of_file(std::string{job["path"].string_or("")});
  if (job["op"] == "digest") return digest_of_bytes(bytes_of(job["data"]), progress);
  if (job["op"] == "blur")
    return blur(bytes_of(job["data"]), static_cast<std::size_t>(job["radius"].int64_or(4)),
                progress);
  throw std::runtime_error{"no such op"};
}

}  // namespace

int main() {
  cohort::Cluster cluster;
  const cohort::Worker parent = cluster.worker();
  parent.on_message([parent](const Value& job) {
    const Value id = job["id"];
    try {
      const Value result =
          work(job, [&](double done) { parent.send({{"id", id}, {"progress", done}}); });
      parent.send({{"id", id}, {"result", result}});
    } catch (const std::exception& error) {
      parent.send({{"id", id}, {"error", error.what()}});
    }
  });
  return cluster.run();
}
