#include "map/inputs.h"

#include <gtest/gtest.h>

namespace cohort::map {
namespace {

using Row = std::vector<std::string>;

Row all_of(RecordReader& reader) {
  Row records;
  while (auto record = reader.next()) records.push_back(*std::move(record));
  return records;
}

TEST(RecordReader, GivesRecordsHoweverTheyArrive) {
  RecordReader reader{'\n'};
  reader.feed("on");
  EXPECT_FALSE(reader.next());
  reader.feed("e\n\ntw");
  EXPECT_EQ(all_of(reader), (Row{"one", ""}));
  reader.finish();
  EXPECT_EQ(all_of(reader), (Row{"tw"}));
}

TEST(RecordReader, AnyByteMayEndThem) {
  RecordReader reader{'\0'};
  reader.feed(std::string_view{"a\nb\0c\0", 6});
  reader.finish();
  EXPECT_EQ(all_of(reader), (Row{"a\nb", "c"}));
}

std::vector<std::string> blocks_of(std::string_view text, std::size_t size, std::size_t piece) {
  BlockReader reader{'\n', size};
  std::vector<std::string> blocks;
  const auto take = [&] {
    while (auto block = reader.next()) blocks.push_back(*std::move(block));
  };
  for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) {
    reader.feed(text.substr(0, piece));
    take();
  }
  reader.finish();
  take();
  return blocks;
}

TEST(BlockReader, CutsAtTheEndsOfRecordsHoweverTheyArrive) {
  for (std::size_t piece = 1; piece < 30; ++piece) {
    EXPECT_EQ(blocks_of("ab\ncd\nef\ngh", 6, piece), (Row{"ab\ncd\n", "ef\ngh"})) << piece;
    EXPECT_EQ(blocks_of("ab\ncd\n", 4, piece), (Row{"ab\n", "cd\n"})) << piece;
    EXPECT_EQ(blocks_of("a\na record that is long\nb\n", 4, piece),
              (Row{"a\n", "a record that is long\n", "b\n"}))
        << piece;
    EXPECT_EQ(blocks_of("no end at all", 4, piece), (Row{"no end at all"})) << piece;
    EXPECT_EQ(blocks_of("", 4, piece), Row{});
  }
}

TEST(Combinations, AreAllOfThemTheLastFastest) {
  Combinations both{{{"a", "b"}, {"1", "2"}}};
  std::vector<Row> rows;
  while (auto row = both.next()) rows.push_back(*std::move(row));
  EXPECT_EQ(rows, (std::vector<Row>{{"a", "1"}, {"a", "2"}, {"b", "1"}, {"b", "2"}}));
  EXPECT_FALSE(Combinations{{}}.next());
  EXPECT_FALSE((Combinations{{{"a"}, {}}}.next()));
}

std::vector<Row> jobs_of(JobMaker& maker) {
  std::vector<Row> jobs;
  while (auto job = maker.next()) jobs.push_back(*std::move(job));
  return jobs;
}

TEST(JobMaker, OneRowIsAJob) {
  JobMaker maker{{}};
  EXPECT_TRUE(maker.is_hungry());
  maker.add({"a", "b"});
  maker.add({"c"});
  EXPECT_EQ(jobs_of(maker), (std::vector<Row>{{"a", "b"}, {"c"}}));
}

TEST(JobMaker, SeveralRowsWaitUntilTheyAreEnoughOrTheLast) {
  JobMaker maker{{.rows = 2}};
  for (const char* value : {"a", "b", "c"}) maker.add({value});
  EXPECT_EQ(jobs_of(maker), (std::vector<Row>{{"a", "b"}}));
  EXPECT_TRUE(maker.is_hungry());
  maker.finish();
  EXPECT_EQ(jobs_of(maker), (std::vector<Row>{{"c"}}));
  EXPECT_FALSE(maker.is_hungry());
}

TEST(JobMaker, AsManyAsFitAndTheLastOnesAreShared) {
  // A value of one byte costs ten.
  JobMaker maker{{.bytes_max = 30, .jobs = 2}};
  for (const char* value : {"a", "b", "c", "d"}) maker.add({value});
  EXPECT_EQ(maker.next(), (Row{"a", "b", "c"}));
  EXPECT_FALSE(maker.next()) << "d waits for more";
  for (const char* value : {"e", "f"}) maker.add({value});
  maker.finish();
  EXPECT_EQ(jobs_of(maker), (std::vector<Row>{{"d", "e"}, {"f"}}));
}

TEST(JobMaker, OneThatIsTooLongIsAJobOfItsOwn) {
  JobMaker maker{{.bytes_max = 20, .jobs = 1}};
  maker.add({std::string(100, 'x')});
  maker.add({"a"});
  maker.finish();
  EXPECT_EQ(jobs_of(maker), (std::vector<Row>{{std::string(100, 'x')}, {"a"}}));
}

TEST(Columns, AreBetweenMatchesOfAnExpression) {
  EXPECT_EQ(columns_of("a,b,,c", std::regex{","}), (Row{"a", "b", "", "c"}));
  EXPECT_EQ(columns_of("a  b", std::regex{" +"}), (Row{"a", "b"}));
  EXPECT_EQ(columns_of("", std::regex{","}), (Row{""}));
}

}  // namespace
}  // namespace cohort::map
