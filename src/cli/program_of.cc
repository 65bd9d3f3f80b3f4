#include "cli/program_of.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "base/command_line.h"
#include "base/read_file.h"
#include "base/sys.h"
#include "cohort/child_process.h"
#include "cohort/value.h"

namespace cohort::cli {
namespace {

namespace fs = std::filesystem;
using process::Program;
using Outcome = std::variant<Program, CannotRun>;

// A first line that is longer is no interpreter's (the kernel reads as much).
constexpr std::size_t kFirstBytes = 256;
constexpr std::chrono::seconds kPatienceWithNode{10};

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

bool is_executable(const fs::path& path) {
  return is_file(path) && sys::access(path.c_str(), X_OK) == 0;
}

/// Its absolute path; nothing if there is no such file, or no working directory.
std::optional<fs::path> existing(const std::string& name) {
  std::error_code error;
  fs::path path = fs::absolute(name, error).lexically_normal();
  if (error || !fs::exists(path, error)) return std::nullopt;
  return path;
}

std::string first_bytes(const fs::path& path) {
  std::string text(kFirstBytes, '\0');
  std::ifstream file{path, std::ios::binary};
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

std::optional<fs::path> in_path(const std::string& name) {
  const char* variable = std::getenv("PATH");
  std::istringstream path{variable != nullptr ? variable : "/bin:/usr/bin"};
  for (std::string directory; std::getline(path, directory, ':');) {
    const auto found = existing((directory.empty() ? "." : directory) + '/' + name);
    if (found && is_executable(*found)) return found;
  }
  return std::nullopt;
}

std::string typed(const std::vector<std::string>& words) {
  std::string text = "cohort run";
  for (const std::string& word : words) text += ' ' + shell_word(word);
  return text;
}

Outcome run_node(const fs::path& script, std::vector<std::string> options = {}) {
  const auto node = in_path("node");
  if (!node)
    return CannotRun{script.string() +
                     " runs under node, which is not in PATH: install Node.js, or put node there"};
  options.push_back(script);
  return Program{*node, std::move(options)};
}

/// NODE_OPTIONS without what would make an asked node wait for a debugger, or take its port.
std::string quiet_node_options() {
  const char* given = std::getenv("NODE_OPTIONS");
  std::istringstream words{given != nullptr ? given : ""};
  std::string kept;
  for (std::string word; words >> word;)
    if (!word.starts_with("--inspect")) kept += word + ' ';
  return kept;
}

/// From 22.18 and 23.6 on it does, unless options say otherwise: so it is asked.
bool runs_typescript(const fs::path& node) {
  SpawnOptions options;
  options.add_env = {{"NODE_OPTIONS", quiet_node_options()}};
  options.timeout = kPatienceWithNode;
  const Output answer = spawn_sync(node, {"-p", "process.features.typescript"}, options);
  return answer.stdout_ == "strip\n" || answer.stdout_ == "transform\n";
}

Outcome run_typescript(const fs::path& script, Language language) {
  const auto node = in_path("node");
  const auto installed = [&](const std::string& name) {
    const auto local = in_node_modules(script.parent_path(), name);
    return local ? local : in_path(name);
  };
  if (node && language == Language::TypeScript && runs_typescript(*node)) return run_node(script);
  if (const auto tsx = installed("tsx"); tsx && node) return run_node(script, options_of_tsx(*tsx));
  if (const auto ts_node = installed("ts-node"); ts_node && node)
    return Program{*ts_node, {script}};
  if (const auto bun = installed("bun")) return Program{*bun, {script}};
  // A loader of the user's own may be among them.
  if (node && quiet_node_options().find("--import") != std::string::npos) return run_node(script);
  const bool jsx = language == Language::Jsx;
  return CannotRun{script.string() + " is " + (jsx ? "JSX" : "TypeScript") + ", which " +
                   (node ? node->string() + " does not run" : "nothing here runs") +
                   ": npm install tsx" + (jsx ? "" : ", or use Node.js from 22.18 on")};
}

/// The interpreter that is meant by a script's name.
std::string interpreter_for(const fs::path& script) {
  const std::string end = script.extension();
  if (end == ".py") return "python3";
  if (end == ".rb") return "ruby";
  if (end == ".pl") return "perl";
  if (end == ".php") return "php";
  return end == ".sh" ? "sh" : "";
}

Outcome run_interpreter(const std::string& name, const fs::path& script) {
  if (const auto interpreter = in_path(name)) return Program{*interpreter, {script}};
  return CannotRun{script.string() + " runs under " + name +
                   ", which is not in PATH: install it, or name another: " +
                   typed({"INTERPRETER", script.filename()})};
}

Outcome run_file(const fs::path& file, const std::string& name) {
  if (!is_file(file)) return CannotRun{name + " is neither a file nor a directory"};
  const Language language = language_of(name);
  const bool executable = is_executable(file);
  if (language != Language::None && sys::access(file.c_str(), R_OK) != 0)
    return CannotRun{file.string() + " cannot be read"};
  const std::string text = first_bytes(file);
  std::vector<std::string> interpreter = parse_interpreter(text);
  if (language == Language::JavaScript) return run_node(file);
  if (language != Language::None && (!executable || interpreter.empty()))
    return run_typescript(file, language);
  const bool is_script = interpreter.empty() && !text.starts_with(
                                                    "\x7f"
                                                    "ELF");
  const std::string with = interpreter_for(file);
  if (is_script && !with.empty()) return run_interpreter(with, file);
  if (executable) return Program{file, {}};
  if (!interpreter.empty() && is_executable(interpreter.front())) {
    interpreter.push_back(file);
    const std::string program = interpreter.front();
    interpreter.erase(interpreter.begin());
    return Program{program, std::move(interpreter)};
  }
  std::string advice = "chmod +x " + shell_word(name);
  if (is_script && file.extension().empty())
    advice = "if it is a script of Node: " + typed({"node", name});
  return CannotRun{file.string() + " is not executable; " + advice};
}

/// The file that node would take for `main`.
std::optional<fs::path> as_node_resolves(const fs::path& path) {
  for (const char* end : {"", ".js", ".json", ".node", "/index.js"})
    if (fs::path candidate = path.string() + end; is_file(candidate)) return candidate;
  return std::nullopt;
}

/// What runs the package's start script, if that is but one program; else nothing.
std::string instead_of(const std::string& start, const fs::path& directory) {
  if (start.empty() || start.find_first_of("&|;<>$`\"'\\=*") != std::string::npos) return {};
  std::istringstream text{start};
  std::vector<std::string> words{std::istream_iterator<std::string>{text}, {}};
  if (words.empty()) return {};
  if (words.front() == "node" && words.size() > 1 && !words[1].starts_with("-"))
    words.erase(words.begin());
  else if (is_executable(directory / "node_modules" / ".bin" / words.front()))
    words.front().insert(0, "node_modules/.bin/");
  std::error_code error;
  const bool here = fs::equivalent(directory, fs::current_path(error), error);
  return (here ? "" : "cd " + shell_word(directory) + " && ") + typed(words);
}

Outcome run_directory(const fs::path& directory, const std::string& name) {
  const fs::path description = directory / "package.json";
  const auto text = read_file(description);
  const auto package = text ? parse_package(*text) : Package{};
  if (!package) return CannotRun{description.string() + " is not JSON"};
  auto found = package->main.empty() ? std::nullopt : as_node_resolves(directory / package->main);
  if (!found) found = as_node_resolves(directory / "index");
  if (found) return run_file(found->lexically_normal(), *found);
  std::string why = name + " is a directory ";
  if (!text)
    why += "without package.json and index.js";
  else if (package->main.empty())
    why += "whose package.json has no main, without index.js";
  else
    why += "whose package.json has the main " + package->main + ", which is not there";
  if (const std::string instead = instead_of(package->start, directory); !instead.empty())
    return CannotRun{why + "; its start script: " + instead};
  return CannotRun{why + "; name the file: " + typed({(fs::path{name} / "server.js").string()})};
}

Outcome run_path(const fs::path& path, const std::string& name) {
  std::error_code error;
  return fs::is_directory(path, error) ? run_directory(path, name) : run_file(path, name);
}

CannotRun not_found(const std::string& name) {
  const bool path = name.find('/') != std::string::npos;
  std::error_code error;
  const fs::path here = fs::current_path(error);
  const std::string where =
      error ? "the working directory, which was removed or cannot be read" : here.string();
  std::string text = name + ": no such file";
  if (!path)
    text += " in " + where + ", and no such program in PATH";
  else if (!name.starts_with('/'))
    text += " (from " + where + ")";
  for (const char* end : {".js", ".mjs", ".cjs", ".ts", ".mts", ".cts"})
    if (const std::string other = name + end; is_file(other))
      return {text + "; there is " + other + ": " + typed({other})};
  if (const auto local = in_node_modules(here, name); !path && local)
    return {text + "; npm has installed it: " + typed({local->lexically_relative(here)})};
  if (const auto space = name.find(' '); space != std::string::npos)
    return {text + "; its arguments are words of their own: cohort run " + name};
  return {std::move(text)};
}

}  // namespace

std::optional<fs::path> in_node_modules(fs::path directory, const std::string& name) {
  for (;; directory = directory.parent_path()) {
    fs::path program = directory / "node_modules" / ".bin" / name;
    if (is_executable(program)) return program;
    if (directory == directory.parent_path()) return std::nullopt;
  }
}

std::vector<std::string> options_of_tsx(const fs::path& tsx) {
  std::error_code error;
  const fs::path loader = fs::canonical(tsx, error).parent_path() / "loader.mjs";
  if (error || !is_file(loader)) return {};
  return {"--import", loader};
}

Language language_of(std::string_view name) {
  std::string end = fs::path{name}.extension();
  std::transform(end.begin(), end.end(), end.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (end == ".js" || end == ".mjs" || end == ".cjs") return Language::JavaScript;
  if (end == ".ts" || end == ".mts" || end == ".cts") return Language::TypeScript;
  if (end == ".tsx" || end == ".jsx") return Language::Jsx;
  return Language::None;
}

std::vector<std::string> parse_interpreter(std::string_view text) {
  if (!text.starts_with("#!")) return {};
  text = text.substr(2, text.find('\n') - 2);
  const auto trim = [](std::string_view part) {
    constexpr std::string_view kBlank = " \t\r";
    part.remove_prefix(std::min(part.find_first_not_of(kBlank), part.size()));
    return part.substr(0, part.find_last_not_of(kBlank) + 1);
  };
  text = trim(text);
  if (!text.starts_with('/')) return {};
  const std::size_t end = std::min(text.find_first_of(" \t"), text.size());
  std::vector<std::string> words{std::string{text.substr(0, end)}};
  if (const auto argument = trim(text.substr(end)); !argument.empty()) words.emplace_back(argument);
  return words;
}

std::optional<Package> parse_package(std::string_view text) {
  const auto json = parse_json(text);
  if (!json) return std::nullopt;
  return Package{std::string{(*json)["main"].string_or("")},
                 std::string{(*json)["scripts"]["start"].string_or("")}};
}

std::variant<Program, CannotRun> program_of(const std::string& name) {
  const bool path = name.find('/') != std::string::npos || name == "." || name == "..";
  const auto here = existing(name);
  if (here && (path || (language_of(name) != Language::None && is_file(*here))))
    return run_path(*here, name);
  if (path) return not_found(name);
  if (const auto found = in_path(name)) return run_file(*found, name);
  return here ? run_path(*here, name) : not_found(name);
}

std::variant<Program, CannotRun> program_under(const std::string& interpreter,
                                               const std::vector<std::string>& args,
                                               const std::string& script) {
  auto found = program_of(interpreter);
  auto* const program = std::get_if<Program>(&found);
  if (program == nullptr) return CannotRun{"the interpreter " + std::get<CannotRun>(found).text};
  const auto file = existing(script);
  if (!file) return not_found(script.find('/') == std::string::npos ? "./" + script : script);
  program->leading_args.insert(program->leading_args.end(), args.begin(), args.end());
  program->leading_args.push_back(*file);
  return found;
}

}  // namespace cohort::cli
