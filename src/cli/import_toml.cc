#include "cli/import_toml.h"

#include <algorithm>
#include <cstdio>

#include "ipc/utf8.h"

namespace cohort::cli {
namespace {

constexpr std::size_t kLineWidth = 100;

std::string toml_character(char c) {
  const auto byte = static_cast<unsigned char>(c);
  if (c == '"' || c == '\\') return {'\\', c};
  if (c == '\n') return "\\n";
  if (c == '\t') return "\\t";
  if (byte >= 0x20 && byte != 0x7f) return {c};
  char text[8];
  std::snprintf(text, sizeof text, "\\u%04x", byte);
  return text;
}

// A name or a key: bare if it can be.
std::string toml_key(const std::string& key) {
  const bool is_bare =
      !key.empty() &&
      key.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
          key.npos;
  return is_bare ? key : toml_string(key);
}

// One line, without what a comment may not have.
std::string comment(std::string_view text) {
  std::string line = "# ";
  ipc::append_utf8(text, line);
  for (char& c : line)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  return line + '\n';
}

std::string remark_line(const ImportRemark& remark) { return remark.what + ": " + remark.why; }

// On one line if it fits there.
std::string toml_list(const std::string& key, const std::vector<std::string>& items) {
  std::string line = key + " = [", lines = line + '\n';
  for (const std::string& item : items) {
    line += (&item == &items.front() ? "" : ", ") + toml_string(item);
    lines += "  " + toml_string(item) + ",\n";
  }
  return (line.size() < kLineWidth ? line : lines) + "]\n";
}

// A table on one line, which TOML does not let go on in the next; else a list.
std::string toml_env(const std::vector<std::pair<std::string, std::string>>& env) {
  std::string line = "env = {";
  std::vector<std::string> items;
  for (const auto& [name, value] : env) {
    line += (items.empty() ? "" : ", ") + toml_key(name) + " = " + toml_string(value);
    items.push_back(name + '=' + value);
  }
  return line.size() < kLineWidth ? line + "}\n" : toml_list("env", items);
}

std::string table_text(const ImportedApplication& application) {
  std::string text = '[' + toml_key(application.name) + "]\n";
  for (const ImportRemark& remark : application.remarks) text += comment(remark_line(remark));
  text += "program = " + toml_string(application.program) + '\n';
  if (!application.args.empty()) text += toml_list("args", application.args);
  for (const ImportedSetting& setting : application.settings)
    text += setting.key + " = " + (setting.in_quotes ? toml_string(setting.value) : setting.value) +
            '\n';
  if (!application.env.empty()) text += toml_env(application.env);
  return text;
}

}  // namespace

std::string toml_string(std::string_view text) {
  std::string valid, quoted = "\"";
  ipc::append_utf8(text, valid);
  for (const char c : valid) quoted += toml_character(c);
  return quoted + '"';
}

std::string toml_text(const Imported& imported, const std::string& source) {
  std::string text = comment("From " + source + ", by cohort import. It belongs into that folder.");
  for (const ImportRemark& remark : imported.remarks) text += comment(remark_line(remark));
  for (const ImportedApplication& application : imported.applications)
    text += '\n' + table_text(application);
  return text;
}

std::string remarks_text(const Imported& imported) {
  std::string text;
  const auto add = [&text](const std::string& prefix, const ImportRemark& remark) {
    std::string line = prefix + remark_line(remark);
    std::replace(line.begin(), line.end(), '\n', ' ');
    text += "cohort: " + line + '\n';
  };
  for (const ImportRemark& remark : imported.remarks) add("", remark);
  for (const ImportedApplication& application : imported.applications)
    for (const ImportRemark& remark : application.remarks)
      add('[' + application.name + "] ", remark);
  return text;
}

}  // namespace cohort::cli
