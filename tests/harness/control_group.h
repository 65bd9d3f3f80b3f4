// A cgroup of the test's own below the one it runs in, of the old hierarchy or of the unified one.
// Removed at the end, once those who were in it are gone.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace harness {

class ControlGroup {
 public:
  /// `file`: one that it must have, `pids.max`; in the old hierarchy that of `controller`.
  ControlGroup(const std::string& controller, const std::string& file);
  ~ControlGroup();
  ControlGroup(const ControlGroup&) = delete;
  ControlGroup& operator=(const ControlGroup&) = delete;

  /// False: none can be made here.
  bool is_there() const { return !directory_.empty(); }
  bool is_old() const { return is_old_; }
  /// False: it may not be set here.
  bool set(const std::string& file, const std::string& value) const;
  /// How many CPUs it may use, 0.5 for example; nothing: all.
  bool set_cpus(std::optional<double> cpus) const;
  /// Behind which a command line runs in it.
  std::vector<std::string> enter() const;

 private:
  void remove();

  std::string directory_;
  bool is_old_ = false;
};

}  // namespace harness
