#include "cluster/node_launch.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/command_line.h"
#include "base/sys.h"
#include "cluster/preload_source.h"

namespace cohort::cluster {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDirectories[] = {"/dev/shm", "/tmp"};
constexpr mode_t kDirectoryMode = 0755, kFileMode = 0444;
constexpr mode_t kWritableByOthers = 0022;
constexpr int kDebuggerPort = 9229;

// FNV-1a: two versions have two files.
std::string name_of_source() {
  std::uint64_t hash = 14695981039346656037u;
  for (const char c : kPreloadSource)
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  std::ostringstream name;
  name << "preload-" << std::hex << hash << ".cjs";
  return name.str();
}

bool has_source(const fs::path& file) {
  std::ifstream stream{file, std::ios::binary};
  std::ostringstream text;
  text << stream.rdbuf();
  return stream && text.view() == kPreloadSource;
}

// One that another user made, or may write to, could have any program in it.
bool is_ours(const fs::path& path, fs::file_type type) {
  struct ::stat info{};
  std::error_code error;
  return fs::symlink_status(path, error).type() == type && sys::stat(path.c_str(), info) == 0 &&
         info.st_uid == ::geteuid() && (info.st_mode & kWritableByOthers) == 0;
}

Result<std::string> preload_in(const fs::path& base) {
  const fs::path directory = base / ("cohort-" + std::to_string(::geteuid()));
  const fs::path file = directory / name_of_source();
  if (is_ours(directory, fs::file_type::directory) && is_ours(file, fs::file_type::regular) &&
      has_source(file))
    return file.string();
  const std::string op = "write " + file.string();
  if (sys::mkdir(directory.c_str(), kDirectoryMode) == -1 && errno != EEXIST)
    return errno_error(op);
  if (!is_ours(directory, fs::file_type::directory))
    return system_error(EACCES, op, directory.string() + " is another user's");
  sys::chmod(directory.c_str(), kDirectoryMode);  // whatever the umask
  // Whole from the first moment: others may start workers with it just now.
  const fs::path unfinished = file.string() + '.' + std::to_string(::getpid());
  sys::unlink(unfinished.c_str());
  const OwnFd fd = sys::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_EXCL, kFileMode);
  const ssize_t size = fd ? sys::write(fd.get(), kPreloadSource.data(), kPreloadSource.size()) : -1;
  if (size != static_cast<ssize_t>(kPreloadSource.size())) {
    Error failed = size < 0 ? errno_error(op) : system_error(ENOSPC, op);
    sys::unlink(unfinished.c_str());
    return failed;
  }
  sys::chmod(unfinished.c_str(), kFileMode);
  std::error_code error;
  fs::rename(unfinished, file, error);
  if (error) return system_error(error.value(), op);
  return file.string();
}

bool is_node(std::string_view word) { return word == "node" || word == "nodejs"; }

// The words of NODE_OPTIONS, without the quotes.
std::vector<std::string> words_of(std::string_view options) {
  std::vector<std::string> words;
  bool quoted = false, in_word = false;
  for (std::size_t i = 0; i < options.size(); ++i) {
    char c = options[i];
    if (c == ' ' && !quoted) {
      in_word = false;
      continue;
    }
    if (!std::exchange(in_word, true)) words.emplace_back();
    if (c == '"')
      quoted = !quoted;
    else if (c == '\\' && quoted && i + 1 < options.size())
      words.back() += options[++i];
    else
      words.back() += c;
  }
  return words;
}

// Where Node's own options end, in a command line that begins with `node`.
std::size_t end_of_options(const std::vector<std::string>& argv) {
  constexpr std::string_view kWithValue[] = {"-r",       "--require",  "--import",
                                             "--loader", "-C",         "--conditions",
                                             "--title",  "--env-file", "--experimental-loader"};
  std::size_t i = 1;
  for (; i < argv.size() && argv[i].starts_with('-') && argv[i] != "--"; ++i)
    if (std::find(std::begin(kWithValue), std::end(kWithValue), argv[i]) != std::end(kWithValue))
      ++i;
  return std::min(i, argv.size());
}

bool names_permission(const std::vector<std::string>& argv) {
  return std::any_of(argv.begin(), argv.end(), [](const std::string& word) {
    return word.find("--permission") != std::string::npos;
  });
}

struct Debugger {
  bool wanted = false;
  bool named = false;  // some option is of it
  std::string host = "127.0.0.1";
  int port = kDebuggerPort;

  // `--inspect`, `--inspect-brk=0.0.0.0:9300`, `--inspect-port=9300`...
  bool read(std::string_view option) {
    const std::size_t equals = std::min(option.find('='), option.size());
    const std::string_view name = option.substr(0, equals);
    const bool asks = name == "--inspect" || name == "--inspect-brk" || name == "--inspect-wait";
    if (!asks && name != "--inspect-port" && name != "--debug-port") return false;
    named = true;
    wanted = wanted || asks;
    const std::string_view value = option.substr(std::min(equals + 1, option.size()));
    const std::size_t colon = value.rfind(':');
    const std::string_view digits =
        colon == std::string_view::npos ? value : value.substr(colon + 1);
    int number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    const bool has_port = error == std::errc{} && end == digits.data() + digits.size();
    if (has_port) port = number;
    if (colon != std::string_view::npos)
      host = value.substr(0, colon);
    else if (!has_port && !value.empty())
      host = value;
    return true;
  }
};

Debugger debugger_in(const std::vector<std::string>& argv, std::string_view node_options) {
  Debugger debugger;
  for (const std::string& word : words_of(node_options)) debugger.read(word);
  for (std::size_t i = 1; i < end_of_options(argv); ++i) debugger.read(argv[i]);
  return debugger;
}

}  // namespace

Runtime runtime_of(const std::string& file) {
  const auto named = [](const std::string& word) {
    const std::string name = fs::path{word}.filename();
    return is_node(name)                        ? Runtime::Node
           : name == "bun" || name == "bun.exe" ? Runtime::Bun
           : is_shell(name) || name == "env"    ? Runtime::Shell
                                                : Runtime::Other;
  };
  if (const Runtime runtime = named(file); runtime != Runtime::Other) return runtime;
  std::ifstream script{file, std::ios::binary};
  std::string line;
  if (script.get() != '#' || script.get() != '!' || !std::getline(script, line))
    return Runtime::Other;
  // `#!/usr/bin/env -S A=1 node`.
  std::istringstream words{line};
  for (std::string word; words >> word;) {
    const bool is_of_env = fs::path{word}.filename() == "env" || word.starts_with('-') ||
                           word.find('=') != std::string::npos;
    if (!is_of_env) return named(word);
  }
  return Runtime::Other;
}

Result<std::string> preload_file() {
  Result<std::string> file = make_error(Errc::InvalidArgument, "preload");
  for (const char* base : kDirectories)
    if (file = preload_in(base); file) break;
  return file;
}

std::string with_preload(std::string_view node_options, const std::string& file, bool restricted) {
  std::string options{node_options};
  if (!options.empty()) options += ' ';
  options += "--require \"" + file + '"';
  return restricted ? options + " \"--allow-fs-read=" + file + '"' : options;
}

bool restricts_reading(const std::vector<std::string>& argv, std::string_view node_options) {
  const auto is_it = [](const std::string& word) {
    return word == "--permission" || word == "--experimental-permission";
  };
  const auto end = argv.begin() + static_cast<std::ptrdiff_t>(end_of_options(argv));
  const std::vector<std::string> words = words_of(node_options);
  return std::any_of(argv.begin(), end, is_it) || std::any_of(words.begin(), words.end(), is_it);
}

std::optional<std::string> give_debugger_port(std::vector<std::string>& argv,
                                              std::string& node_options, std::size_t index) {
  const Debugger debugger = debugger_in(argv, node_options);
  std::size_t last = 0;  // of those on the command line
  for (std::size_t i = 1; i < end_of_options(argv); ++i)
    if (Debugger{}.read(argv[i])) last = i;
  if (!debugger.wanted || debugger.port == 0) return std::nullopt;
  std::string where = debugger.host + ':' + std::to_string(debugger.port + static_cast<int>(index));
  const std::string option = "--inspect-port=" + where;
  if (last > 0)
    argv.insert(argv.begin() + static_cast<std::ptrdiff_t>(last) + 1, option);
  else
    node_options += ' ' + option;
  return where;
}

void give_quiet_debugger(const std::vector<std::string>& argv, std::string& node_options) {
  if (!debugger_in(argv, node_options).named)
    node_options += " --inspect-port=127.0.0.1:0 --inspect-publish-uid=http";
}

// `env A=1 bun x.ts` is Bun.
Runtime runtime_in(const process::SpawnRequest& request) {
  const Runtime runtime = runtime_of(request.file);
  if (fs::path{request.file}.filename() != "env") return runtime;
  for (std::size_t i = 1; i < request.argv.size(); ++i) {
    const std::string& word = request.argv[i];
    if (word.starts_with('-') || word.find('=') != std::string::npos) continue;
    return fs::path{word}.filename() == "bun" ? Runtime::Bun : runtime;
  }
  return runtime;
}

NodeLaunch prepare_node(process::SpawnRequest& request, std::size_t debugger, NodeWishes wishes) {
  constexpr std::string_view kVariable = "NODE_OPTIONS=";
  NodeLaunch launch;
  const Runtime runtime = runtime_in(request);
  if (runtime == Runtime::Bun)
    std::erase_if(request.env,
                  [](const auto& entry) { return entry.starts_with("NODE_UNIQUE_ID="); });
  if (runtime == Runtime::Bun || runtime == Runtime::Other) return launch;
  const auto found = std::find_if(request.env.begin(), request.env.end(),
                                  [&](const auto& entry) { return entry.starts_with(kVariable); });
  const bool given = found != request.env.end();
  const std::string users = given ? found->substr(kVariable.size()) : "";
  std::string options = users;
  if (wishes.preload) {
    if (const auto file = preload_file())
      options = with_preload(users, *file,
                             restricts_reading(request.argv, users) ||
                                 (runtime == Runtime::Shell && names_permission(request.argv)));
    else
      launch.no_preload = file.error();
  }
  // Of what a shell starts, only what takes its place is the worker.
  if (runtime == Runtime::Shell && wishes.preload && !launch.no_preload)
    request.env.push_back("COHORT_PARENT=" + std::to_string(::getpid()));
  // Behind the preload, which takes off all that follows it.
  std::vector<std::string> no_options{"node"};  // a shell's options are no options of Node
  auto& argv = runtime == Runtime::Node ? request.argv : no_options;
  launch.debugger = give_debugger_port(argv, options, debugger);
  if (wishes.quiet_debugger) give_quiet_debugger(argv, options);
  if (given)
    *found = std::string{kVariable} + options;
  else if (!options.empty())
    request.env.push_back(std::string{kVariable} + options);
  return launch;
}

}  // namespace cohort::cluster
