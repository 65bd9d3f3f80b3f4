#include "cli/js_stack.h"

#include <algorithm>
#include <utility>

namespace cohort::cli {
namespace {

std::string said(const Value& value, const char* otherwise) {
  const std::string_view text = value.string_or("");
  return std::string{text.empty() ? otherwise : text};
}

// `file:///srv/a%20b.js` is `/srv/a b.js`; `node:internal/timers` stays.
std::string file_of(std::string_view url) {
  constexpr std::string_view kFile = "file://";
  if (!url.starts_with(kFile)) return std::string{url};
  url.remove_prefix(kFile.size());
  std::string file;
  for (std::size_t i = 0; i < url.size(); ++i) {
    constexpr std::string_view kDigits = "0123456789ABCDEF0123456789abcdef";
    const bool escaped = url[i] == '%' && i + 2 < url.size();
    const auto high = escaped ? kDigits.find(url[i + 1]) : kDigits.npos;
    const auto low = escaped ? kDigits.find(url[i + 2]) : kDigits.npos;
    const bool is_byte = high != kDigits.npos && low != kDigits.npos;
    file += is_byte ? static_cast<char>(high % 16 * 16 + low % 16) : url[i];
    if (is_byte) i += 2;
  }
  return file;
}

// It goes to a terminal.
void make_printable(std::string& line) {
  std::ranges::replace_if(line, [](unsigned char c) { return c < ' ' || c == 0x7f; }, '?');
}

}  // namespace

std::optional<std::string> debugger_path(std::string_view list) {
  const auto targets = parse_json(list);
  if (!targets) return std::nullopt;
  const Value& target = std::as_const(*targets)[0];
  const std::string url = said(target["webSocketDebuggerUrl"], "");
  constexpr std::string_view kScheme = "ws://";
  if (!(target["type"] == "node") || !url.starts_with(kScheme)) return std::nullopt;
  const auto path = url.find('/', kScheme.size());
  if (path == url.npos) return std::nullopt;
  const bool is_plain = std::ranges::all_of(url, [](char c) { return c > ' ' && c < 0x7f; });
  return is_plain ? std::optional{url.substr(path)} : std::nullopt;
}

std::vector<std::string> JsStack::questions() {
  return {R"({"id":1,"method":"Debugger.enable"})", R"({"id":2,"method":"Debugger.pause"})"};
}

void JsStack::take(std::string_view message) {
  const auto parsed = parse_json(message);
  if (!parsed) return;
  const Value& said_now = std::as_const(*parsed);
  const Value& params = said_now["params"];
  if (said_now["method"] == "Debugger.scriptParsed") {
    files_[said(params["scriptId"], "")] = file_of(params["url"].string_or(""));
  } else if (said_now["method"] == "Debugger.paused") {
    stopped(params["callFrames"]);
  } else if (said_now["error"].is_object()) {
    refusal_ = "its debugger refuses: " + said(said_now["error"]["message"], "it does not say why");
    make_printable(refusal_);
  }
}

void JsStack::stopped(const Value& frames) {
  constexpr std::size_t kLinesMax = 30, kWidth = 160;
  auto& lines = lines_.emplace();
  for (const Value& frame : frames.elements()) {
    if (lines.size() == kLinesMax) break;
    const Value& place = frame["location"];
    const auto file = files_.find(place["scriptId"].string_or(""));
    const bool known = file != files_.end() && !file->second.empty();
    std::string line = '#' + std::to_string(lines.size());
    line.resize(std::max<std::size_t>(line.size() + 1, 4), ' ');
    line += said(frame["functionName"], "(anonymous)") + " (" +
            (known ? file->second : "(no file)") + ':' +
            std::to_string(place["lineNumber"].int64_or(0) + 1) + ':' +
            std::to_string(place["columnNumber"].int64_or(0) + 1) + ')';
    make_printable(line);
    lines.push_back(line.substr(0, kWidth));
  }
}

std::string closing_words() {
  return R"-({"id":1,"method":"Runtime.evaluate","params":{"expression":"process._debugEnd()"}})-";
}

}  // namespace cohort::cli
