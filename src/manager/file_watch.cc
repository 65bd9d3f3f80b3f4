#include "manager/file_watch.h"

#include <sys/inotify.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/sys.h"

namespace cohort::manager {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kEvents = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM |
                                  IN_MOVED_TO | IN_ONLYDIR | IN_EXCL_UNLINK;

}  // namespace

bool is_watched_name(std::string_view name) {
  // 4913 is what vim tries whether it may write.
  const bool is_hidden = name.empty() || name.front() == '.' || name == "4913";
  return !is_hidden && name != "node_modules" && !name.ends_with('~') && !name.ends_with(".log") &&
         !name.ends_with(".swp") && !name.ends_with(".tmp");
}

FileWatch::FileWatch(const Loop& loop, fs::path folder,
                     std::function<void(const fs::path&)> changed)
    : loop_{loop},
      folder_{std::move(folder)},
      changed_{std::move(changed)},
      settled_{loop.context()} {}

FileWatch::~FileWatch() = default;

Result<void> FileWatch::start() {
  OwnFd fd = sys::inotify_create();
  if (!fd) return errno_error("watch " + folder_.string());
  watch_ = std::make_unique<Watch>(loop_, std::move(fd));
  watch_->set_ref(false);
  await_events();
  return add(folder_);
}

// Folders that vanish meanwhile are no error.
Result<void> FileWatch::add(const fs::path& folder) {
  const int number = sys::inotify_add(watch_->fd(), folder.c_str(), kEvents);
  if (number < 0 && (folder == folder_ || errno == ENOSPC))
    return errno_error("watch " + folder.string());
  if (number < 0) return {};
  folders_[number] = folder;
  std::error_code error;
  for (fs::directory_iterator next{folder, error}, end; !error && next != end;
       next.increment(error)) {
    const bool is_folder = next->is_directory(error) && !next->is_symlink(error);
    if (!is_folder || !is_watched_name(next->path().filename().string())) continue;
    if (auto added = add(next->path()); !added) return added;
  }
  return {};
}

void FileWatch::await_events() {
  watch_->wait_readable([this] { read_events(); });
}

void FileWatch::read_events() {
  alignas(inotify_event) std::array<char, 16 * 1024> buffer;
  for (ssize_t size = 0; (size = sys::read(watch_->fd(), buffer.data(), buffer.size())) > 0;)
    for (ssize_t at = 0; at < size;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      if ((event->mask & IN_IGNORED) != 0) folders_.erase(event->wd);
      const auto found = folders_.find(event->wd);
      const char* name = event->len > 0 ? event->name : "";
      if (found == folders_.end() || !is_watched_name(name)) continue;
      const fs::path file = found->second / name;
      const bool is_new_folder =
          (event->mask & IN_ISDIR) != 0 && (event->mask & (IN_CREATE | IN_MOVED_TO)) != 0;
      if (is_new_folder) (void)add(file);
      has_changed(file);
    }
  await_events();
}

void FileWatch::has_changed(const fs::path& file) {
  if (first_.empty()) first_ = file;
  settled_.expires_after(kSettled);
  settled_.async_wait(callbacks_.wrap([this](boost::system::error_code error) {
    if (error) return;
    loop_.run_here(callbacks_.wrap([this] { changed_(std::exchange(first_, {})); }));
  }));
}

}  // namespace cohort::manager
