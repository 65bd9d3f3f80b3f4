#include "cli/direct_command.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "base/command_line.h"
#include "cli/shell_command.h"
#include "cohort/value.h"

namespace cohort::cli {
namespace {

using Words = std::vector<std::string>;
using Found = std::optional<DirectCommand>;

// A script may name another one; one that names itself ends here.
constexpr int kDepthMax = 8;
constexpr std::string_view kRunners[] = {"npm",  "yarn",      "pnpm",    "npx",
                                         "bunx", "cross-env", "nodemon", "tsx"};
// Of node, which tsx passes on to it.
constexpr std::string_view kOfNode[] = {
    "--env-file=",           "--import=",           "--require=", "--inspect",
    "--max-old-space-size=", "--enable-source-maps"};
bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_option(const std::string& word) { return word.starts_with('-'); }

Words from(const Words& words, std::size_t at) {
  return {words.begin() + static_cast<std::ptrdiff_t>(std::min(at, words.size())), words.end()};
}

// Those of npm for its script: behind `--`, and before it what is no option.
std::optional<Words> arguments_for_script(const Words& words) {
  Words arguments;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--") {
      arguments.insert(arguments.end(), words.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                       words.end());
      return arguments;
    }
    if (is_option(words[i])) return std::nullopt;
    arguments.push_back(words[i]);
  }
  return arguments;
}

class Unwrapping {
 public:
  explicit Unwrapping(const RunnerFiles& files) : files_{files} {}

  Found direct(Words words, int depth) {
    if (words.empty() || depth > kDepthMax) return std::nullopt;
    const std::string name = words.front();
    words.erase(words.begin());
    if (name == "npm") return npm(std::move(words), depth);
    if (name == "yarn" || name == "pnpm") return yarn(name, std::move(words), depth);
    if (name == "npx") return installed(words, depth);
    if (name == "node" && !words.empty() && words.front() == "--run")
      return node_run(from(words, 1), depth);
    if (name == "cross-env") return cross_env(std::move(words), depth);
    if (name == "tsx") return tsx(words);
    if (is_shell(name.substr(name.rfind('/') + 1)) && words.size() == 2 && words.front() == "-c")
      return line(words[1], depth);
    return std::nullopt;
  }

 private:
  Found npm(Words words, int depth) {
    const auto end = std::find(words.begin(), words.end(), "--");
    words.erase(
        std::remove_if(words.begin(), end,
                       [](const std::string& word) { return is_one_of(word, {"-s", "--silent"}); }),
        end);
    if (words.empty()) return std::nullopt;
    const std::string verb = words.front();
    words.erase(words.begin());
    const bool executes = is_one_of(verb, {"exec", "x"});
    if (executes && !words.empty() && words.front() == "--")
      return installed(from(words, 1), depth);
    const bool names_it = executes || is_one_of(verb, {"run", "run-script"});
    if (!names_it && verb != "start") return std::nullopt;
    if (names_it && (words.empty() || is_option(words.front()))) return std::nullopt;
    const std::string name = names_it ? words.front() : verb;
    auto arguments = arguments_for_script(from(words, names_it ? 1 : 0));
    if (!arguments) return std::nullopt;
    if (!executes) return run_script(name, *arguments, "npm", depth);
    arguments->insert(arguments->begin(), name);
    return installed(*arguments, depth);
  }

  // They give a script whatever comes behind its name.
  Found yarn(const std::string& which, Words words, int depth) {
    if (words.empty() || is_option(words.front())) return std::nullopt;
    if (words.front() == "exec") return installed(from(words, 1), depth);
    if (words.front() == "run") words.erase(words.begin());
    if (words.empty() || is_option(words.front())) return std::nullopt;
    const auto arguments = from(words, 1);
    // What each of them makes of it is not the same.
    if (std::find(arguments.begin(), arguments.end(), "--") != arguments.end()) return std::nullopt;
    if (auto found = run_script(words.front(), arguments, which, depth)) return found;
    return which == "yarn" && !has_script(words.front()) ? installed(words, depth) : std::nullopt;
  }

  Found node_run(const Words& words, int depth) {
    if (words.empty() || is_option(words.front())) return std::nullopt;
    const auto arguments = arguments_for_script(from(words, 1));
    return arguments ? run_script(words.front(), *arguments, "node", depth) : std::nullopt;
  }

  bool has_script(const std::string& name) { return !package()["scripts"][name].is_undefined(); }

  Found run_script(const std::string& name, const Words& arguments, std::string_view by,
                   int depth) {
    const std::string text{package()["scripts"][name].string_or("")};
    if (text.empty()) return std::nullopt;
    if (by != "node" && (has_script("pre" + name) || has_script("post" + name) || is_configured()))
      return std::nullopt;
    auto found = line(text, depth);
    if (!found) return found;
    found->words.insert(found->words.end(), arguments.begin(), arguments.end());
    found->finds_installed = true;
    const std::string description = files_.directory + "/package.json";
    // What a script says that this one has named counts more.
    const auto say = [&](const char* variable, std::string_view value) {
      if (!value.empty()) found->npm.try_emplace(variable, value);
    };
    if (by == "node") {
      say("NODE_RUN_SCRIPT_NAME", name);
      say("NODE_RUN_PACKAGE_JSON_PATH", description);
      return found;
    }
    say("npm_lifecycle_event", name);
    say("npm_lifecycle_script", text);
    say("npm_package_name", package()["name"].string_or(""));
    say("npm_package_version", package()["version"].string_or(""));
    say("npm_package_json", description);
    say("INIT_CWD", files_.directory);
    return found;
  }

  // Beyond what is said here: options for node, a shell of its own, variables from package.json; or
  // modules that only yarn finds.
  bool is_configured() {
    const auto read = [this](const char* name) {
      return files_.read(files_.directory + '/' + name);
    };
    const std::string npmrc = read(".npmrc").value_or("");
    return !package()["config"].is_undefined() || npmrc.find("node-options") != npmrc.npos ||
           npmrc.find("script-shell") != npmrc.npos || read(".pnp.cjs") || read(".pnp.loader.mjs");
  }

  // As the shell of a script does it.
  Found line(std::string_view text, int depth) {
    ShellCommand read = read_shell_command(text);
    if (!read.needs_shell.empty()) return std::nullopt;
    return with_variables(std::move(read.words), {read.env.begin(), read.env.end()}, depth);
  }

  Found cross_env(Words words, int depth) {
    std::map<std::string, std::string> env;
    for (; !words.empty() && is_assignment(words.front()); words.erase(words.begin())) {
      const auto at = words.front().find('=');
      env[words.front().substr(0, at)] = words.front().substr(at + 1);
    }
    return with_variables(std::move(words), std::move(env), depth);
  }

  Found with_variables(const Words& words, std::map<std::string, std::string> env, int depth) {
    if (words.empty() || is_option(words.front())) return std::nullopt;
    auto found = command(words, depth);
    if (found) found->env.merge(std::move(env));
    return found;
  }

  // The program of a script, which finds what npm has installed.
  Found command(const Words& words, int depth) {
    if (auto further = direct(words, depth + 1)) return further;
    if (is_runner(words.front())) return std::nullopt;
    DirectCommand found{.words = words, .env = {}, .npm = {}};
    if (const auto path = files_.installed(words.front())) found.words.front() = *path;
    return found;
  }

  Found installed(const Words& words, int depth) {
    if (words.empty() || is_option(words.front()) || !files_.installed(words.front()))
      return std::nullopt;
    auto found = command(words, depth);
    if (found) found->finds_installed = true;
    return found;
  }

  Found tsx(const Words& words) {
    const auto program = files_.installed("tsx");
    if (!program) return std::nullopt;
    const auto script = std::find_if_not(words.begin(), words.end(), [](const std::string& word) {
      return std::any_of(std::begin(kOfNode), std::end(kOfNode),
                         [&](std::string_view option) { return word.starts_with(option); });
    });
    // Without a script it asks for input.
    if (script == words.end() || is_option(*script) || *script == "watch") return std::nullopt;
    DirectCommand found{.words = files_.options_of_tsx(*program), .env = {}, .npm = {}};
    if (found.words.empty()) return std::nullopt;
    found.words.insert(found.words.begin(), "node");
    found.words.insert(found.words.end(), words.begin(), words.end());
    return found;
  }

  const Value& package() {
    if (!package_) {
      const auto text = files_.read(files_.directory + "/package.json");
      const auto json = text ? parse_json(*text) : Result<Value>{Value::object()};
      package_ = json ? *json : Value::object();
    }
    return *package_;
  }

  const RunnerFiles& files_;
  std::optional<Value> package_;
};

}  // namespace

bool is_runner(std::string_view program) {
  return std::find(std::begin(kRunners), std::end(kRunners), program) != std::end(kRunners);
}

std::optional<DirectCommand> direct_command(const Words& words, const RunnerFiles& files) {
  return Unwrapping{files}.direct(words, 0);
}

}  // namespace cohort::cli
