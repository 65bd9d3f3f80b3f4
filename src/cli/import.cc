#include "cli/import.h"

#include <fcntl.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/read_file.h"
#include "base/sys.h"
#include "cli/config_file.h"
#include "cli/fail.h"
#include "cli/import_ecosystem.h"
#include "cli/import_procfile.h"
#include "cli/import_toml.h"
#include "cli/program_of.h"
#include "cohort/child_process.h"

namespace cohort::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kPatienceWithFile{30};

// In the order in which they are looked for.
constexpr const char* kImportable[] = {"ecosystem.config.js",
                                       "ecosystem.config.cjs",
                                       "ecosystem.config.mjs",
                                       "ecosystem.json",
                                       "ecosystem.config.json",
                                       "pm2.config.js",
                                       "pm2.json",
                                       "process.json",
                                       "ecosystem.config.yaml",
                                       "ecosystem.config.yml",
                                       "ecosystem.yaml",
                                       "ecosystem.yml",
                                       "Procfile"};

// Its result comes by a pipe of its own: the file may print.
constexpr const char* kReadByNode = R"js(
const { pathToFileURL } = require('url');
const only = (kind) => ({ 'cohort:javascript': kind });
const plain = (key, value) => {
  const kind = typeof value;
  if (kind === 'undefined' || kind === 'function' || kind === 'symbol') return only(kind);
  if (kind === 'bigint' || (kind === 'number' && !Number.isFinite(value))) return only(`${value}`);
  if (value instanceof RegExp || value instanceof Promise) return only(value.constructor.name);
  return value;
};
import(pathToFileURL(process.argv[1]).href).then((module) => {
  const exported = module.default === undefined ? { ...module } : module.default;
  require('fs').writeFileSync(3, JSON.stringify(exported, plain));
  process.exit(0);
}).catch((error) => {
  console.error(error && error.stack ? error.stack : error);
  process.exit(1);
});
)js";

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

using ReadValue = std::variant<Value, ImportProblem>;

ReadValue value_by_node(const fs::path& file) {
  const auto node = program_of("node");
  if (std::holds_alternative<CannotRun>(node))
    return ImportProblem{
        "it is JavaScript, and there is no node in PATH: install Node.js, or give "
        "cohort import the same as JSON"};
  SpawnOptions options;
  options.stdio = StdioList{Stdio::Ignore, Stdio::Pipe, Stdio::Pipe, Stdio::Pipe};
  options.timeout = kPatienceWithFile;
  options.max_buffer = std::size_t{16} << 20;
  const Output output = spawn_sync(std::get<process::Program>(node).file,
                                   {"-e", kReadByNode, file.string()}, options);
  std::fputs(output.stdout_.c_str(), stderr);
  std::fputs(output.stderr_.c_str(), stderr);
  if (output.error) return ImportProblem{"node did not read it: " + output.error->message()};
  const std::string json = output.more.empty() ? "" : output.more.front();
  if (!output.exit.success() || json.empty())
    return ImportProblem{"node cannot read it; what node said is above"};
  auto value = parse_json(json);
  if (!value) return ImportProblem{"node's answer is not JSON: " + value.error().message()};
  return *std::move(value);
}

ReadValue value_of_json(const std::string& text) {
  auto value = parse_json(text);
  if (value) return *std::move(value);
  return ImportProblem{"it is not JSON: " + value.error().message() +
                       ". With comments in it: put `module.exports =` in front, and call it "
                       "ecosystem.config.js"};
}

std::variant<Imported, ImportProblem> imported_from(const fs::path& file, const std::string& text,
                                                    const std::string& env) {
  const std::string end = lower_case(file.extension().string());
  if (lower_case(file.filename().string()).starts_with("procfile")) {
    if (!env.empty()) return ImportProblem{"--env is for ecosystem files; a Procfile has none"};
    std::error_code error;
    return import_procfile(text, fs::exists(file.parent_path() / ".env", error));
  }
  if (end == ".yaml" || end == ".yml")
    return ImportProblem{"YAML is not read: write it as ecosystem.config.js, or as JSON"};
  const bool is_javascript = language_of(file.string()) == Language::JavaScript;
  if (!is_javascript && end != ".json")
    return ImportProblem{"it is neither an ecosystem file (.js, .cjs, .mjs, .json) nor a Procfile"};
  auto value = is_javascript ? value_by_node(file) : value_of_json(text);
  if (auto* problem = std::get_if<ImportProblem>(&value)) return std::move(*problem);
  const char* home = std::getenv("HOME");
  std::error_code error;
  auto imported = import_ecosystem(std::get<Value>(value),
                                   {.env = env,
                                    .folder = fs::canonical(file, error).parent_path().string(),
                                    .home = home == nullptr ? "" : home});
  if (auto* all = std::get_if<Imported>(&imported))
    if (is_javascript && text.find("process.env") != text.npos)
      all->remarks.push_back({"process.env",
                              "what the file reads from it is what it was here and "
                              "now; secrets may be among it"});
  return imported;
}

// Empty: there is none.
std::string importable_here() {
  std::string found;
  for (const char* name : kImportable) {
    std::error_code error;
    if (!fs::is_regular_file(name, error)) continue;
    if (found.empty())
      found = name;
    else
      std::fputs(("cohort: " + found + " is read, not " + name + '\n').c_str(), stderr);
  }
  return found;
}

// Paths are seen from the folder of the file: from elsewhere they lead there.
void move_to_folder(Imported& imported, const fs::path& from, const fs::path& to) {
  std::error_code error;
  if (fs::equivalent(from, to, error)) return;
  for (ImportedApplication& application : imported.applications) {
    const auto cwd = std::find_if(application.settings.begin(), application.settings.end(),
                                  [](const auto& setting) { return setting.key == "cwd"; });
    if (cwd == application.settings.end())
      application.settings.push_back({.key = "cwd", .value = from.string(), .in_quotes = true});
    else
      cwd->value = (from / cwd->value).lexically_normal().string();
  }
}

int write_output(const std::string& path, const std::string& text, bool force) {
  const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (force ? O_TRUNC : O_EXCL);
  const OwnFd fd = sys::open(path.c_str(), flags, 0666);
  if (!fd && errno == EEXIST)
    return fail(kExitPermanent, path + " is there already; --force replaces it");
  std::size_t written = 0;
  while (fd && written < text.size()) {
    const auto size = sys::write(fd.get(), text.data() + written, text.size() - written);
    if (size <= 0) break;
    written += static_cast<std::size_t>(size);
  }
  if (!fd || written < text.size())
    return fail(kExitTemporary, path + ": " + std::generic_category().message(errno));
  return 0;
}

}  // namespace

int run(const ImportOptions& options) {
  const std::string name = options.file.empty() ? importable_here() : options.file;
  if (name.empty())
    return fail(kExitPermanent,
                "there is no ecosystem.config.js, .cjs, .json or Procfile here; say which: cohort "
                "import FILE");
  std::error_code error;
  const fs::path file = fs::absolute(name, error).lexically_normal();
  const auto text = read_file(file);
  if (!text) return fail(kExitPermanent, name + ": " + std::generic_category().message(errno));
  auto read = imported_from(file, *text, options.env);
  if (const auto* problem = std::get_if<ImportProblem>(&read))
    return fail(kExitPermanent, name + ": " + problem->text);
  auto& imported = std::get<Imported>(read);
  const fs::path target = fs::absolute(options.output, error).lexically_normal();
  if (!options.output.empty()) move_to_folder(imported, file.parent_path(), target.parent_path());
  std::fputs(remarks_text(imported).c_str(), stderr);
  if (imported.applications.empty()) return fail(kExitPermanent, name + " has no application");
  const std::string toml = toml_text(imported, file.filename().string());
  // What cannot be read is of no use, but shows what was meant.
  const auto config = parse_config(toml, target.string());
  if (options.output.empty() || std::holds_alternative<ConfigProblem>(config))
    std::fputs(toml.c_str(), stdout);
  if (const auto* problem = std::get_if<ConfigProblem>(&config))
    return fail(kExitPermanent, "the result is wrong: " + problem->text);
  return options.output.empty() ? 0 : write_output(options.output, toml, options.force);
}

}  // namespace cohort::cli
