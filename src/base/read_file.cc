#include "base/read_file.h"

#include <fcntl.h>

#include "base/sys.h"

namespace cohort {

std::optional<std::string> read_file(const std::filesystem::path& path) {
  const OwnFd file = sys::open(path.c_str(), O_RDONLY);
  if (!file) return std::nullopt;
  std::string text;
  char buffer[16384];
  for (;;) {
    const ssize_t count = sys::read(file.get(), buffer, sizeof buffer);
    if (count <= 0) return count == 0 ? std::optional{text} : std::nullopt;
    text.append(buffer, static_cast<std::size_t>(count));
  }
}

}  // namespace cohort
