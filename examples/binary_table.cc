#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "binary_work.h"

using cohort::Value;

namespace {

constexpr std::size_t kPiece = 1 << 20;

struct Group {
  std::string key{};
  std::uint64_t hash = 0, count = 0;
  std::int64_t sum = 0;
  std::int64_t min = std::numeric_limits<std::int64_t>::max();
  std::int64_t max = std::numeric_limits<std::int64_t>::min();

  void add(const Group& other) {
    count += other.count;
    sum += other.sum;
    min = std::min(min, other.min);
    max = std::max(max, other.max);
  }
};

std::uint64_t hash_of(std::string_view key) {
  std::uint64_t hash = key.size();
  for (std::size_t at = 0; at < key.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, key.data() + at, std::min<std::size_t>(8, key.size() - at));
    hash = (hash ^ word) * 0x9e3779b97f4a7c15;
    hash ^= hash >> 32;
  }
  return hash;
}

// In the order in which they were first seen.
class Groups {
 public:
  Group& of(std::string_view key, std::uint64_t hash) {
    std::size_t place = hash & (places_.size() - 1);
    for (; places_[place] != 0; place = (place + 1) & (places_.size() - 1)) {
      Group& group = groups_[places_[place] - 1];
      if (group.hash == hash && group.key == key) return group;
    }
    groups_.push_back({.key = std::string{key}, .hash = hash});
    places_[place] = static_cast<std::uint32_t>(groups_.size());
    if (groups_.size() * 2 > places_.size()) grow();
    return groups_.back();
  }
  const std::vector<Group>& all() const { return groups_; }

 private:
  void grow() {
    places_.assign(places_.size() * 2, 0);
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      std::size_t place = groups_[i].hash & (places_.size() - 1);
      while (places_[place] != 0) place = (place + 1) & (places_.size() - 1);
      places_[place] = static_cast<std::uint32_t>(i + 1);
    }
  }
  std::vector<Group> groups_;
  std::vector<std::uint32_t> places_ = std::vector<std::uint32_t>(4096);  // 0, or 1 + the index
};

// One bit for each of the 64 bytes: whether it is a comma or a line's end.
std::uint64_t separators_of(const char* bytes) {
  std::uint64_t found = 0;
#ifdef __SSE2__
  const __m128i commas = _mm_set1_epi8(','), ends = _mm_set1_epi8('\n');
  for (int part = 0; part < 4; ++part) {
    const __m128i text = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes) + part);
    const __m128i either = _mm_or_si128(_mm_cmpeq_epi8(text, commas), _mm_cmpeq_epi8(text, ends));
    found |= static_cast<std::uint64_t>(_mm_movemask_epi8(either)) << 16 * part;
  }
#else
  for (int i = 0; i < 64; ++i)
    found |= static_cast<std::uint64_t>(bytes[i] == ',' || bytes[i] == '\n') << i;
#endif
  return found;
}

// The commas and line ends of a text, one after the other, and then its end.
class Separators {
 public:
  explicit Separators(std::string_view text) : block_{text.data()}, end_{block_ + text.size()} {
    look();
  }
  const char* next() {
    while (found_ == 0) {
      if (end_ - block_ <= 64) return end_;
      block_ += 64;
      look();
    }
    const char* const at = block_ + std::countr_zero(found_);
    found_ &= found_ - 1;
    return at;
  }

 private:
  void look() {
    if (end_ - block_ >= 64) {
      found_ = separators_of(block_);
    } else {
      char last[64] = {};
      std::copy(block_, end_, last);
      found_ = separators_of(last);
    }
  }
  const char* block_;
  const char* const end_;
  std::uint64_t found_ = 0;
};

// Of at most 15 digits, as JavaScript has them exactly.
std::int64_t number_of(std::string_view text) {
  const bool is_negative = text.starts_with('-');
  const std::string_view digits = text.substr(is_negative ? 1 : 0);
  bool is_number = !digits.empty() && digits.size() <= 15;
  std::int64_t number = 0;
  for (std::size_t i = 0; is_number && i < digits.size(); ++i) {
    is_number = digits[i] >= '0' && digits[i] <= '9';
    number = number * 10 + (digits[i] - '0');
  }
  if (!is_number)
    throw std::runtime_error{"not a whole number: `" + std::string{text.substr(0, 40)} + '`'};
  return is_negative ? -number : number;
}

struct Columns {
  std::size_t key, value;
};

void aggregate_lines(std::string_view lines, Columns columns, Groups& groups) {
  Separators separators{lines};
  const std::size_t last = std::max(columns.key, columns.value);
  const char* at = lines.data();
  const char* const end = at + lines.size();
  while (at < end) {
    std::string_view key, value;
    const char* field_end = nullptr;
    for (std::size_t column = 0;; ++column, at = field_end + 1) {
      field_end = separators.next();
      if (column == columns.key) key = {at, field_end};
      if (column == columns.value) value = {at, field_end};
      if (column == last) break;
      if (field_end == end || *field_end == '\n')
        throw std::runtime_error{"a line has too few columns"};
    }
    const std::int64_t number = number_of(value);
    groups.of(key, hash_of(key)).add({.count = 1, .sum = number, .min = number, .max = number});
    while (field_end != end && *field_end != '\n') field_end = separators.next();
    at = std::min(field_end, end - 1) + 1;
  }
}

// In pieces, which stay in the cache of the CPU. `from` and `to` are where lines begin.
Groups aggregate_part(const Source& csv, std::uint64_t from, std::uint64_t to, Columns columns) {
  Groups groups;
  std::string text;  // what is left of the piece before, and a piece
  while (from < to) {
    const std::size_t left = text.size(), size = std::min<std::uint64_t>(kPiece, to - from);
    text.resize(left + size);
    csv.read(from, std::as_writable_bytes(std::span{text}).subspan(left));
    from += size;
    const std::size_t whole = from == to ? text.size() : text.rfind('\n') + 1;
    aggregate_lines(std::string_view{text}.substr(0, whole), columns, groups);
    text.erase(0, whole);
  }
  return groups;
}

// Behind the first line end at or behind `at`, or the end.
std::uint64_t behind_line(const Source& csv, std::uint64_t at) {
  std::string text;
  for (; at < csv.size; at += text.size()) {
    text.resize(std::min<std::uint64_t>(4096, csv.size - at));
    csv.read(at, std::as_writable_bytes(std::span{text}));
    if (const auto end = text.find('\n'); end != std::string::npos) return at + end + 1;
  }
  return csv.size;
}

std::size_t column_of(std::string_view header, std::string_view name) {
  for (std::size_t column = 0;; ++column) {
    const std::size_t end = std::min(header.find(','), header.size());
    if (header.substr(0, end) == name) return column;
    if (end == header.size()) throw std::runtime_error{"no column " + std::string{name}};
    header.remove_prefix(end + 1);
  }
}

}  // namespace

Value aggregate(const Source& csv, std::string_view key, std::string_view value) {
  const std::uint64_t begin = behind_line(csv, 0);
  std::string header(begin, '\0');
  csv.read(0, std::as_writable_bytes(std::span{header}));
  if (header.ends_with('\n')) header.pop_back();
  const Columns columns{column_of(header, key), column_of(header, value)};

  // Each thread has the lines that begin in its part.
  const std::size_t threads = cohort::available_parallelism();
  const auto part_begin = [&](std::size_t i) {
    const std::uint64_t at = begin + (csv.size - begin) * i / threads;
    return at == begin ? begin : behind_line(csv, at - 1);
  };
  auto parts = in_parallel(threads, [&](std::size_t i) {
    return aggregate_part(csv, part_begin(i), part_begin(i + 1), columns);
  });
  Groups all;
  for (auto& part : parts)
    for (const Groups groups = part.get(); const Group& group : groups.all())
      all.of(group.key, group.hash).add(group);

  std::vector<Value::Entry> entries;
  for (const Group& group : all.all())
    entries.push_back(
        {std::string{group.key},
         Value{
             {"count", group.count}, {"sum", group.sum}, {"min", group.min}, {"max", group.max}}});
  return Value::map(std::move(entries));
}
