#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <memory>
#include <stdexcept>

#include "binary_work.h"

using cohort::Value;

namespace {

constexpr std::size_t kPiece = std::size_t{8} << 20;

using Histogram = std::array<std::uint64_t, 256>;

void count_bytes(std::string_view bytes, Histogram& histogram) {
  // Four tables, so that equal neighbours do not wait for each other.
  std::array<Histogram, 4> counts{};
  std::size_t i = 0;
  for (; i + 4 <= bytes.size(); i += 4)
    for (std::size_t k = 0; k < 4; ++k) ++counts[k][static_cast<unsigned char>(bytes[i + k])];
  for (; i < bytes.size(); ++i) ++counts[0][static_cast<unsigned char>(bytes[i])];
  for (const Histogram& table : counts)
    for (std::size_t b = 0; b < 256; ++b) histogram[b] += table[b];
}

class Sha256 {
 public:
  Sha256() { EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr); }
  void add(std::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
  std::string hex() {
    std::array<unsigned char, 32> hash;
    EVP_DigestFinal_ex(context_.get(), hash.data(), nullptr);
    std::string digits;
    for (const unsigned char byte : hash)
      for (const int digit : {byte >> 4, byte & 15}) digits += "0123456789abcdef"[digit];
    return digits;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_{EVP_MD_CTX_new(),
                                                                   &EVP_MD_CTX_free};
};

Value result(Sha256& hash, std::size_t size, const Histogram& histogram) {
  return {
      {"sha256", hash.hex()},
      {"bytes", size},
      {"histogram", Value::typed_array(std::vector<double>(histogram.begin(), histogram.end()))}};
}

}  // namespace

Value digest(std::string_view bytes, const Progress& progress) {
  Histogram histogram{};
  const auto counted = std::async(std::launch::async, [&] { count_bytes(bytes, histogram); });
  Sha256 hash;
  for (std::size_t at = 0; at < bytes.size(); at += kPiece) {
    hash.add(bytes.substr(at, kPiece));
    progress(static_cast<double>(std::min(at + kPiece, bytes.size())) /
             static_cast<double>(bytes.size()));
  }
  counted.wait();
  return result(hash, bytes.size(), histogram);
}

Value digest_of_file(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  if (!file) throw std::runtime_error{path + ": cannot be read"};
  Sha256 hash;
  Histogram histogram{};
  std::size_t size = 0;
  std::string piece(std::size_t{1} << 20, '\0');
  while (file.read(piece.data(), static_cast<std::streamsize>(piece.size())), file.gcount() > 0) {
    const std::string_view bytes{piece.data(), static_cast<std::size_t>(file.gcount())};
    hash.add(bytes);
    count_bytes(bytes, histogram);
    size += bytes.size();
  }
  return result(hash, size, histogram);
}
