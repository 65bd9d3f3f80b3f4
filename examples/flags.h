// The command line of the examples: `--name VALUE`, `--name=VALUE` and `--name`. What an example
// does not know it ignores: under a Node primary, argv[1] is the name of Node's own script.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

class Flags {
 public:
  Flags(int argc, char** argv) : args_{argv + 1, argv + argc} {}

  bool has(std::string_view name) const {
    for (std::string_view arg : args_)
      if (arg == name) return true;
    return false;
  }

  std::string text(std::string_view name, std::string fallback) const {
    for (std::size_t i = 0; i < args_.size(); ++i) {
      if (args_[i] == name && i + 1 < args_.size()) return args_[i + 1];
      if (args_[i].starts_with(std::string{name} + '=')) return args_[i].substr(name.size() + 1);
    }
    return fallback;
  }

  unsigned number(std::string_view name, unsigned fallback) const {
    return static_cast<unsigned>(std::stoul(text(name, std::to_string(fallback))));
  }
  std::uint16_t port(std::uint16_t fallback) const {
    return static_cast<std::uint16_t>(number("--port", fallback));
  }
  std::chrono::milliseconds seconds(std::string_view name, double fallback) const {
    const std::chrono::duration<double> value{std::stod(text(name, std::to_string(fallback)))};
    return std::chrono::duration_cast<std::chrono::milliseconds>(value);
  }

  /// The first argument if it is not a flag.
  std::string path(const std::string& fallback) const {
    return args_.empty() || args_[0].starts_with("--") ? fallback : args_[0];
  }

 private:
  std::vector<std::string> args_;
};
