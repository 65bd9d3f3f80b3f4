// Tells when files of a folder change, and those of the folders in it: for programs that are being
// written. Not of `node_modules`, of hidden files and folders, of logs, and of what editors put
// beside a file.
//
// A change is told when nothing has changed for a moment: saving a file, or checking out a branch,
// is many. Owned by whoever watches; the loop's thread. It does not keep the loop running.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/callback_scope.h"
#include "base/loop.h"
#include "cohort/error.h"

namespace cohort::manager {

/// Whether a change of it matters, by its name alone. Pure.
bool is_watched_name(std::string_view name);

class FileWatch {
 public:
  /// Nothing has changed for so long.
  static constexpr std::chrono::milliseconds kSettled{200};

  /// `changed` gets the file that changed first.
  FileWatch(const Loop& loop, std::filesystem::path folder,
            std::function<void(const std::filesystem::path&)> changed);
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

  /// Looks through the folder, which takes time of a large one. ENOSPC: there are more folders than
  /// this user may watch (fs.inotify.max_user_watches); those that were reached are watched.
  Result<void> start();
  const std::filesystem::path& folder() const { return folder_; }

 private:
  Result<void> add(const std::filesystem::path& folder);
  void await_events();
  void read_events();
  void has_changed(const std::filesystem::path& file);

  const Loop loop_;
  const std::filesystem::path folder_;
  const std::function<void(const std::filesystem::path&)> changed_;
  std::unique_ptr<Watch> watch_;
  std::map<int, std::filesystem::path> folders_;  ///< By the number of the watch.
  boost::asio::steady_timer settled_;
  std::filesystem::path first_;  ///< That changed; empty: nothing has.
  CallbackScope callbacks_;
};

}  // namespace cohort::manager
