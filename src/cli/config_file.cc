#include "cli/config_file.h"

// Only here: it is much to compile.
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/read_file.h"
#include "cli/nearest.h"
#include "cli/program_now.h"
#include "cli/run_options.h"
#include "manager/runtime_directory.h"

namespace cohort::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDefaultFile = "cohort.toml";

// The words of an option, as a command line would have them.
std::optional<std::string> as_text(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) return text;
  if (const auto number = node.value_exact<std::int64_t>()) return std::to_string(*number);
  const auto number = node.value_exact<double>();
  if (!number) return std::nullopt;
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, *number).ptr;
  return std::string{digits, end};
}

class Reader {
 public:
  explicit Reader(const std::string& path) : path_{path}, folder_{fs::path{path}.parent_path()} {}

  RunOptions application(const toml::key& name, const toml::table& table) const {
    if (!manager::is_name(name.str()))
      fail(name.source(),
           "the name of an application is of letters, digits, `-`, `_` and `.`, "
           "at most 64; not `" +
               std::string{name.str()} + '`');
    RunOptions options{.name = std::string{name.str()}, .config = path_};
    for (const auto& [key, node] : table) take(name, key, node, options);
    if (options.program.empty())
      fail(name.source(), '[' + options.name + "] needs a program, as program = \"server.js\"");
    if (const auto problem = contradiction(options)) {
      const std::string_view text = problem->text;
      fail(name.source(),
           '[' + options.name + "]: " + std::string{text.substr(8, text.find('\n') - 8)});
    }
    options.cwd = (folder_ / options.cwd).lexically_normal().string();
    return options;
  }

  [[noreturn]] void fail(const toml::source_region& where, const std::string& what) const {
    throw ConfigProblem{path_ + ':' + std::to_string(where.begin.line) + ": " + what};
  }

 private:
  void take(const toml::key& name, const toml::key& key, const toml::node& node,
            RunOptions& options) const {
    const std::string what = std::string{key.str()} + " of [" + options.name + ']';
    if (key.str() == "program") {
      const auto text = node.value_exact<std::string>();
      if (!text || text->empty()) fail(key.source(), what + " takes a text, as \"server.js\"");
      options.program = *text;
      return;
    }
    if (key.str() == "args") {
      options.args = texts(key, node, what);
      return;
    }
    const auto table = run_option_table();
    const auto* option = std::find_if(table.data(), table.data() + table.size(), [&](auto& each) {
      return each.in_config && key.str() == each.name;
    });
    if (option == table.data() + table.size()) fail_unknown(name, key);
    if (option->kind == RunOption::Kind::Flag) {
      const auto flag = node.value_exact<bool>();
      if (!flag) fail(key.source(), what + " takes true or false");
      if (*flag) (void)option->read({}, options);
      return;
    }
    for (const std::string& text : values(option->kind, key, node, what))
      if (const auto problem = option->read(text, options))
        fail(key.source(), what + ' ' + *problem + "; not `" + text + '`');
  }

  std::vector<std::string> values(RunOption::Kind kind, const toml::key& key,
                                  const toml::node& node, const std::string& what) const {
    if (kind == RunOption::Kind::List) return texts(key, node, what);
    if (kind != RunOption::Kind::Names) return one_text(key, node, what);
    // One value, though it may be empty: no names are not the same as none given.
    std::string names;
    for (const std::string& name : texts(key, node, what))
      names += (names.empty() ? "" : ",") + name;
    return {names};
  }

  std::vector<std::string> one_text(const toml::key& key, const toml::node& node,
                                    const std::string& what) const {
    const auto text = as_text(node);
    if (!text) fail(key.source(), what + " takes one text or number");
    return {*text};
  }

  // A list, one alone, or a table: `env = {A = "1"}` is `env = ["A=1"]`.
  std::vector<std::string> texts(const toml::key& key, const toml::node& node,
                                 const std::string& what) const {
    std::vector<std::string> all;
    if (const auto* table = node.as_table()) {
      for (const auto& [name, value] : *table)
        all.push_back(std::string{name.str()} + '=' + one_text(name, value, what).front());
    } else if (const auto* array = node.as_array()) {
      for (const toml::node& each : *array) all.push_back(one_text(key, each, what).front());
    } else {
      all = one_text(key, node, what);
    }
    return all;
  }

  [[noreturn]] void fail_unknown(const toml::key& name, const toml::key& key) const {
    std::vector<std::string> known{"program", "args"};
    for (const RunOption& option : run_option_table())
      if (option.in_config) known.emplace_back(option.name);
    fail(key.source(), '[' + std::string{name.str()} + "] has no `" + std::string{key.str()} +
                           "`; the nearest that there is: `" + nearest_to(key.str(), known) + '`');
  }

  const std::string path_;
  const fs::path folder_;
};

// In the order of the file, which the tables of the parser do not have.
std::vector<RunOptions> applications_of(const toml::table& file, const Reader& reader) {
  std::vector<std::pair<std::uint32_t, RunOptions>> found;
  for (const auto& [name, node] : file) {
    const auto* table = node.as_table();
    if (table == nullptr)
      reader.fail(name.source(), '`' + std::string{name.str()} +
                                     "` stands outside of any application: begin one with [NAME]");
    found.emplace_back(name.source().begin.line, reader.application(name, *table));
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& one, const auto& other) { return one.first < other.first; });
  std::vector<RunOptions> all;
  for (auto& [line, options] : found) all.push_back(std::move(options));
  return all;
}

}  // namespace

std::variant<std::vector<RunOptions>, ConfigProblem> parse_config(std::string_view text,
                                                                  const std::string& path) {
  const Reader reader{path};
  try {
    auto all = applications_of(toml::parse(text, path), reader);
    if (all.empty())
      return ConfigProblem{path + " has no application; begin one with [NAME] and a program"};
    return all;
  } catch (const toml::parse_error& error) {
    return ConfigProblem{path + ':' + std::to_string(error.source().begin.line) + ": " +
                         std::string{error.description()}};
  } catch (ConfigProblem& problem) {
    return std::move(problem);
  }
}

std::variant<std::vector<RunOptions>, ConfigProblem> read_config_file(const std::string& path) {
  // Through links as they are: a reload follows one that points elsewhere by then.
  const fs::path absolute = (way_here() / (path.empty() ? kDefaultFile : path)).lexically_normal();
  const auto text = read_file(absolute);
  if (!text)
    return ConfigProblem{absolute.string() + ": " + std::generic_category().message(errno)};
  return parse_config(*text, absolute.string());
}

std::variant<RunOptions, ConfigProblem> read_application(const std::string& path,
                                                         const std::string& name) {
  auto read = read_config_file(path);
  if (auto* problem = std::get_if<ConfigProblem>(&read)) return std::move(*problem);
  std::string names;
  for (RunOptions& each : std::get<std::vector<RunOptions>>(read)) {
    if (each.name == name) return std::move(each);
    names += (names.empty() ? "" : ", ") + each.name;
  }
  return ConfigProblem{(path.empty() ? kDefaultFile : path) + " has no [" + name +
                       "]; there are: " + names};
}

}  // namespace cohort::cli
