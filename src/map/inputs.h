// What `cohort map` works through: records of bytes, their columns, and how many make a job.
//
// Pure: whoever has bytes feeds them, and takes jobs out while there are any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

namespace cohort::map {

/// Bytes in, records out.
class RecordReader {
 public:
  explicit RecordReader(char end) : end_{end} {}
  void feed(std::string_view bytes);
  /// No more comes: what has no end yet is a record, too.
  void finish();
  /// The next one, without its end. Nothing: none is whole.
  std::optional<std::string> next();

 private:
  const char end_;
  std::string unfinished_;
  std::deque<std::string> records_;
};

/// Bytes in, blocks of whole records out.
class BlockReader {
 public:
  BlockReader(char end, std::size_t size) : end_{end}, size_{size} {}
  void feed(std::string_view bytes) { bytes_ += bytes; }
  /// No more comes: what is left is a block, too.
  void finish() { is_finished_ = true; }
  /// The next one: as many records as fit into its size, one at least, with their ends. Nothing:
  /// more bytes are needed, or none are left.
  std::optional<std::string> next();

 private:
  const char end_;
  const std::size_t size_;
  std::string bytes_;
  std::size_t looked_ = 0;  // as far as there is no end behind the size
  bool is_finished_ = false;
};

/// Every combination of the lists' values, those of the last list fastest. No list, or an empty
/// one: none.
class Combinations {
 public:
  explicit Combinations(std::vector<std::vector<std::string>> lists);
  std::optional<std::vector<std::string>> next();

 private:
  const std::vector<std::vector<std::string>> lists_;
  std::vector<std::size_t> at_;
  bool is_done_;
};

struct Grouping {
  std::size_t rows = 1;  ///< So many rows make a job (-n)...
  /// ...or (-X) as many as fit into so many bytes: at the end no more than each of `jobs` gets
  /// then.
  std::optional<std::size_t> bytes_max{};
  unsigned jobs = 1;
};

/// Makes jobs of rows, each of one column or more.
class JobMaker {
 public:
  explicit JobMaker(const Grouping& grouping) : grouping_{grouping} {}

  /// More rows are wanted before a job is full.
  bool is_hungry() const;
  void add(std::vector<std::string> row);
  /// No more rows come.
  void finish();
  /// The arguments of the next job. Nothing: it is not full yet, or there is none left.
  std::optional<std::vector<std::string>> next();

 private:
  const Grouping grouping_;
  std::deque<std::vector<std::string>> rows_;
  std::size_t bytes_ = 0;             // of all of them
  std::optional<std::size_t> share_;  // once no more rows come
};

/// A record as columns; `separator` is a regular expression (ECMAScript).
std::vector<std::string> columns_of(const std::string& record, const std::regex& separator);

}  // namespace cohort::map
