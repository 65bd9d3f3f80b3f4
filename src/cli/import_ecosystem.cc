#include "cli/import_ecosystem.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <set>

#include "cli/import_command.h"
#include "cli/import_fields.h"
#include "cli/import_unmapped.h"
#include "cli/options.h"
#include "cli/program_of.h"
#include "manager/runtime_directory.h"

namespace cohort::cli {
namespace {

namespace fs = std::filesystem;

// Those that EcosystemApplication maps.
constexpr const char* kMapped[] = {"script",
                                   "name",
                                   "append_env_to_name",
                                   "cwd",
                                   "args",
                                   "exec_interpreter",
                                   "node_args",
                                   "env",
                                   "instances",
                                   "exec_mode",
                                   "port",
                                   "max_memory_restart",
                                   "kill_timeout",
                                   "listen_timeout",
                                   "wait_ready",
                                   "watch",
                                   "source_map_support",
                                   "log_type"};

bool is_mapped(const std::string& name) {
  return std::find(std::begin(kMapped), std::end(kMapped), name) != std::end(kMapped);
}

std::string number_text(double number) {
  char text[512];  // As many as any double has.
  return {text, std::to_chars(text, text + sizeof text, number, std::chars_format::fixed).ptr};
}

// What pm2 takes by the ending of a script.
std::string interpreter_of(const std::string& script) {
  const std::string end = fs::path{script}.extension();
  if (end == ".py") return "python3";
  if (end == ".sh") return "bash";
  if (end == ".rb") return "ruby";
  if (end == ".pl") return "perl";
  if (end == ".php") return "php";
  return {};
}

class EcosystemApplication {
 public:
  EcosystemApplication(const Value& value, const ImportContext& context, const Value& deploy_env)
      : context_{context}, deploy_env_{deploy_env}, fields_{value, application_} {}

  // False: it has no script.
  bool read() {
    const EcosystemField* script = find("script");
    if (script == nullptr || !script->value->is_string() || text_in_field(*script->value).empty())
      return false;
    wanted_name_ = fields_.text_of("name");
    if (wanted_name_.empty())
      wanted_name_ = manager::name_of_program(text_in_field(*script->value));
    append_env_to_name();
    place();
    run_by(*script);
    workers();
    times_and_sizes();
    environment();
    switches();
    others();
    return true;
  }
  ImportedApplication take() { return std::move(application_); }
  const std::string& wanted_name() const { return wanted_name_; }

 private:
  void remark(const EcosystemField& field, const std::string& why) {
    application_.remark(field.with_value(), why);
  }
  void set(const EcosystemField& field, const char* key, const std::string& value,
           bool in_quotes = false) {
    application_.set(field.given, {.key = key, .value = value, .in_quotes = in_quotes});
  }

  void append_env_to_name() {
    const EcosystemField* field = find("append_env_to_name");
    if (field == nullptr || !field->value->bool_or(true)) return;
    if (context_.env.empty()) return remark(*field, "counts with --env NAME only");
    wanted_name_ += '-' + context_.env;
  }

  // Below the folder of the file a release can be moved, and found through a link.
  std::string seen_from(const fs::path& base, const std::string& path) const {
    const fs::path normal = fs::path{path}.lexically_normal();
    const fs::path below = normal.lexically_relative(context_.folder);
    const bool is_below = !context_.folder.empty() && normal.is_absolute() && !below.empty() &&
                          *below.begin() != "..";
    if (!is_below) return path;
    std::string relative = normal.lexically_relative(base).string();
    while (relative.size() > 1 && relative.ends_with('/')) relative.pop_back();
    return relative;
  }
  std::string at_home(const std::string& path) const {
    const bool is_there = path == "~" || path.starts_with("~/");
    return is_there && !context_.home.empty() ? context_.home + path.substr(1) : path;
  }
  void place() {
    directory_ = context_.folder;
    const EcosystemField* field = find("cwd");
    if (field == nullptr) return;
    const std::string there = at_home(text_in_field(*field->value));
    directory_ = (directory_ / there).lexically_normal();
    if (directory_.filename().empty()) directory_ = directory_.parent_path();
    const std::string path = seen_from(context_.folder, there);
    if (path != "." && path != "./" && !path.empty()) set(*field, "cwd", path, true);
  }

  void run_by(const EcosystemField& script) {
    std::string path = text_in_field(*script.value);
    const std::vector<std::string> args = fields_.words_of("args", application_);
    if (path.find(' ') != path.npos) return run_as_command(script, path, !args.empty());
    path = seen_from(directory_, at_home(path));
    // A bare name would be looked for in PATH.
    const bool was_path = text_in_field(*script.value).find('/') != std::string::npos;
    if (was_path && path.find('/') == path.npos && language_of(path) == Language::None)
      path.insert(0, "./");
    std::vector<std::string> words = interpreter(path);
    words.push_back(path);
    words.insert(words.end(), args.begin(), args.end());
    set_words(application_, script.given, std::move(words));
  }
  void run_as_command(const EcosystemField& script, const std::string& command, bool has_args) {
    if (!set_command(application_, script.given, command)) application_.program = command;
    if (const EcosystemField* args = find("args"); has_args && args != nullptr)
      remark(*args, "left out, as in pm2: the script is a command with arguments");
    for (const char* name : {"exec_interpreter", "node_args"})
      if (const EcosystemField* field = find(name))
        remark(*field, "left out: the script is a command, which names its program");
  }

  // What stands before the script; nothing if cohort finds it by itself.
  std::vector<std::string> interpreter(const std::string& script) {
    const EcosystemField* field = find("exec_interpreter");
    std::string name = field == nullptr ? "" : text_in_field(*field->value);
    std::vector<std::string> options = fields_.words_of("node_args", application_);
    if (name.starts_with("node@")) {
      remark(*field, "the version is not chosen: it is the `node` of PATH, or name its path");
      name = "node";
    }
    const bool is_none = name == "none";
    if (name.empty() || is_none) name = options.empty() ? "" : "node";
    if (is_none && !options.empty()) remark(*field, "taken for node, which has options");
    if (name.empty() && !is_none) name = interpreter_of(script);
    const Language language = language_of(script);
    const bool by_itself =
        options.empty() && ((name == "node" && language == Language::JavaScript) ||
                            (name == "tsx" && language == Language::TypeScript));
    if (name.empty() || by_itself) return {};
    const std::string program = fs::path{name}.filename();
    is_node_ = program == "node" || language == Language::TypeScript || language == Language::Jsx;
    // So that what it prints is seen at once; pm2 sets it, too.
    if (name.find("python") != name.npos) application_.set_env("PYTHONUNBUFFERED", "1");
    options.insert(options.begin(), name);
    return options;
  }

  void workers() {
    const EcosystemField* field = find("instances");
    std::string workers = "1";  // pm2's default
    if (field != nullptr) workers = workers_of(*field);
    const bool is_auto = workers == "auto";
    if (field != nullptr)
      set(*field, "workers", workers, is_auto);
    else
      application_.set("instances", {.key = "workers", .value = workers});
    if (workers == "1") return check_mode(false);
    check_mode(true);
    if (!is_node_)
      application_.remark("instances",
                          "a program that is not Node's binds its port by itself, so "
                          "only one worker can have it: `listen`, or workers = 1");
  }
  std::string workers_of(const EcosystemField& field) {
    const auto number = number_in_field(*field.value);
    if (*field.value == "max" || number == 0) return "auto";
    if (!number) {
      remark(field, "is no number: `auto`, as many as there are CPUs");
      return "auto";
    }
    if (*number < 0) {
      remark(field, "`auto` is one worker for each CPU; pm2 left " + number_text(-*number) +
                        " of them free. Write a number if that matters");
      return "auto";
    }
    if (*number > kWorkersMax || *number < 1 || *number != std::floor(*number)) {
      const auto near = std::clamp<double>(std::floor(*number), 1, kWorkersMax);
      remark(field, "made " + number_text(near));
      return number_text(near);
    }
    return number_text(*number);
  }
  void check_mode(bool has_several) {
    const EcosystemField* field = find("exec_mode");
    if (field == nullptr) return;
    const std::string mode = text_in_field(*field->value);
    if (mode == "cluster" || mode == "cluster_mode") return;
    if (mode != "fork" && mode != "fork_mode")
      remark(*field, "left out: workers always share their ports, as in `cluster`");
    else if (has_several)
      remark(*field,
             "left out: workers share their ports, as in `cluster`. Ports of their own: "
             "the program adds NODE_APP_INSTANCE to one");
  }

  void seconds(const char* name, const char* key) {
    const EcosystemField* field = find(name);
    if (field == nullptr) return;
    const auto ms = number_in_field(*field->value);
    if (!ms) return remark(*field, "left out: it is no number of milliseconds");
    set(*field, key, number_text(*ms / 1000));
  }
  void times_and_sizes() {
    seconds("kill_timeout", "grace");
    seconds("listen_timeout", "ready-within");
    if (const EcosystemField* field = find("listen_timeout"))
      remark(*field,
             "ready-within: a worker of a reload that takes longer has failed; pm2 went on");
    const EcosystemField* memory = find("max_memory_restart");
    if (memory == nullptr) return;
    const bool is_number = memory->value->is_number();
    set(*memory, "max-memory",
        is_number ? number_text(std::floor(memory->value->number_or(0)))
                  : text_in_field(*memory->value),
        true);
  }

  void add_env(const std::string& field, const Value& env) {
    if (!env.is_object())
      return application_.remark(field, "left out: it is no object of variables");
    for (const auto& [name, value] : env.members()) {
      const std::string kind = only_in_javascript(value);
      if (!kind.empty())
        application_.remark(field, "`" + name + "` left out: it is " + kind + " in JavaScript");
      else
        application_.set_env(name, text_in_field(value));
    }
  }
  void environment() {
    if (deploy_env_.is_object()) add_env("deploy", deploy_env_);
    if (const EcosystemField* field = find("env")) add_env(field->given, *field->value);
    const std::string chosen = "env_" + context_.env;
    for (const EcosystemField& field : fields_.all()) {
      if (!field.name.starts_with("env_")) continue;
      if (field.name == chosen)
        add_env(field.given, *field.value);
      else
        application_.remark(field.given, "left out: cohort import --env " + field.name.substr(4) +
                                             " takes it instead; or a table of its own, [" +
                                             wanted_name_ + '-' + field.name.substr(4) + ']');
    }
    if (!context_.env.empty() && find(chosen) == nullptr)
      application_.remark(chosen, "is not there: `env` alone");
    if (const EcosystemField* field = find("port"))
      application_.set_env("PORT", text_in_field(*field->value));
  }

  void switches() {
    if (const EcosystemField* field = find("wait_ready"); field && field->value->bool_or(false))
      set(*field, "ready", "message", true);
    for (const auto& [name, key] :
         {std::pair{"uid", "user"}, {"username", "user"}, {"gid", "group"}})
      if (const EcosystemField* field = find(name))
        set(*field, key, text_in_field(*field->value), true);
    if (const EcosystemField* field = find("watch")) watch(*field);
    const EcosystemField* maps = find("source_map_support");
    if (maps != nullptr && maps->value->bool_or(true)) {
      const std::string before = application_.env_of("NODE_OPTIONS");
      application_.set_env("NODE_OPTIONS",
                           before + (before.empty() ? "" : " ") + "--enable-source-maps");
    }
    const EcosystemField* type = find("log_type");
    if (type == nullptr) return;
    if (*type->value != "json") return remark(*type, "left out: there are text and json");
    set(*type, "json", "true");
    remark(*type, "json: of cohort's own lines; what the program prints is as it is");
  }
  void watch(const EcosystemField& field) {
    if (!field.value->bool_or(true)) return;
    set(field, "watch", "true");
    if (!field.value->is_bool())
      remark(field, "watch = true: all of the workers' folder, not only what is named");
  }

  void others() {
    for (const EcosystemField& field : fields_.all()) {
      if (is_mapped(field.name) || field.name.starts_with("env_")) continue;
      const UnmappedField* known = unmapped_field(field.name);
      if (known == nullptr)
        application_.remark(field.given, "left out: unknown, to pm2 as well");
      else if (!asks_for_what_is_here(*known, *field.value))
        remark(field, why_unmapped(*known, *field.value, wanted_name_));
    }
  }

  const EcosystemField* find(std::string_view name) const { return fields_.find(name); }

  const ImportContext& context_;
  const Value& deploy_env_;
  ImportedApplication application_;
  const EcosystemFields fields_;
  std::string wanted_name_;
  fs::path directory_;   // Where the workers run.
  bool is_node_ = true;  // For all that is known.
};

const Value& list_of_applications(const Value& file) {
  if (!file["apps"].is_undefined()) return file["apps"];
  return file["pm2"].is_undefined() ? file : file["pm2"];
}

// What stands beside the applications. All of package.json, of which `pm2` is a part, does.
void remark_on_neighbours(const Value& file, const ImportContext& context, Imported& all) {
  if (file["apps"].is_undefined()) return;
  for (const auto& [key, value] : file.members()) {
    if (key == "apps") continue;
    if (key == "deploy")
      all.remarks.push_back(
          {key, context.env.empty() || !value[context.env]["env"].is_object()
                    ? "left out: docs/operating.md#deploy says how, with a folder for each release"
                    : "left out, but for `env` of " + context.env + ": docs/operating.md#deploy"});
    else if (key == "static")
      all.remarks.push_back({key, "left out: cohort serves no files; use nginx, or a program"});
    else
      all.remarks.push_back({key, "left out: unknown, to pm2 as well"});
  }
}

// The choices of --env that there are; empty if the wanted one is.
std::string environments_without(const std::string& wanted, std::span<const Value> applications) {
  std::set<std::string> names;
  for (const Value& application : applications)
    for (const auto& [key, value] : application.members())
      if (key.starts_with("env_")) names.insert(key.substr(4));
  if (names.contains(wanted)) return {};
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  return list.empty() ? "none" : list;
}

}  // namespace

std::variant<Imported, ImportProblem> import_ecosystem(const Value& file,
                                                       const ImportContext& context) {
  if (const std::string kind = only_in_javascript(file); !kind.empty())
    return ImportProblem{"it exports " + kind + ", which is no configuration"};
  const Value& listed = list_of_applications(file);
  const std::span<const Value> several = listed.elements();
  const std::span<const Value> values = listed.is_array() ? several : std::span{&listed, 1};
  const Value& deploy_env = file["deploy"][context.env]["env"];
  if (!context.env.empty() && !deploy_env.is_object())
    if (const auto others = environments_without(context.env, values); !others.empty())
      return ImportProblem{"no application has env_" + context.env + "; there are: " + others};
  Imported all;
  remark_on_neighbours(file, context, all);
  for (std::size_t i = 0; i < values.size(); ++i) {
    EcosystemApplication application{values[i], context, deploy_env};
    if (application.read())
      all.add(application.take(), application.wanted_name());
    else
      all.remarks.push_back({"application " + std::to_string(i + 1),
                             "left out: it has no script; pm2 does not start it either"});
  }
  if (all.applications.empty())
    return ImportProblem{"there is no application in it: apps: [{script: \"server.js\"}]"};
  return all;
}

}  // namespace cohort::cli
