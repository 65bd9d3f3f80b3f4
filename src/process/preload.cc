#include "process/preload.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <utility>

#include "cohort/preload.h"
#include "process/zygote_main.h"

namespace cohort {
namespace process {
namespace {

struct Known {
  std::function<Result<void>()> load;
  Preload::Options options;
};

std::map<std::string, Known, std::less<>>& preloads() {
  static std::map<std::string, Known, std::less<>> all;
  return all;
}

// Of memory that is this process's own and has no file, whole huge pages.
void use_huge_pages(const std::string& name) {
  constexpr std::uintptr_t kHuge = std::uintptr_t{2} << 20;
  constexpr int kCollapse = 25;  // MADV_COLLAPSE, which glibc 2.36 does not know
  if (::madvise(nullptr, 0, kCollapse) == -1) {
    std::fprintf(stderr, "cohort: preload %s: no huge pages: Linux 6.1 has them first\n",
                 name.c_str());
    return;
  }
  std::ifstream maps{"/proc/self/maps"};
  for (std::string line; std::getline(maps, line);) {
    std::istringstream fields{line};
    std::string range, rights, offset, device, inode;
    fields >> range >> rights >> offset >> device >> inode;
    if (rights != "rw-p" || inode != "0" || line.find("[stack]") != std::string::npos) continue;
    std::uintptr_t begin = 0, end = 0;
    if (std::sscanf(range.c_str(), "%lx-%lx", &begin, &end) != 2) continue;
    begin = (begin + kHuge - 1) / kHuge * kHuge;
    end = end / kHuge * kHuge;
    // In one call, which goes on behind what cannot be: each waits for all CPUs.
    if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, kCollapse);
  }
}

}  // namespace

Result<void> load(const std::string& name) {
  const auto found = preloads().find(name);
  if (found == preloads().end()) {
    std::string list;
    for (const auto& [each, known] : preloads()) list += (list.empty() ? "" : ", ") + each;
    return make_error(Errc::PreloadFailed, "preload " + name,
                      "this program has no Preload of that name; " +
                          (list.empty() ? std::string{"it has none"} : "it has " + list));
  }
  const auto failed = [&](const char* why) {
    return make_error(Errc::PreloadFailed, "preload " + name, why);
  };
  try {
    if (const auto loaded = found->second.load(); !loaded)
      return failed(loaded.error().message().c_str());
  } catch (const std::exception& exception) {
    return failed(exception.what());
  } catch (...) {
    return failed("an exception that is no std::exception");
  }
  if (found->second.options.huge_pages) use_huge_pages(name);
  return {};
}

}  // namespace process

Preload::Preload(std::string name, Load load, Options options, Known) : name_{std::move(name)} {
  if (!process::preloads().emplace(name_, process::Known{std::move(load), options}).second) {
    std::fprintf(stderr, "cohort: two Preloads have the name %s\n", name_.c_str());
    std::abort();
  }
  process::greet_if_asked_for(name_);
}

}  // namespace cohort
