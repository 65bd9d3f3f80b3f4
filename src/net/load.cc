#include "net/load.h"

#include <new>
#include <utility>

#include "base/sealed_memory.h"
#include "base/sys.h"

namespace cohort::net {

Result<SharedLoad> share_load() {
  auto fd = create_sealed_memory(sizeof(Load));
  if (!fd) return fd.error();
  if (sys::fallocate(fd->get(), 0, sizeof(Load)) == -1) return errno_error("publish a load");
  auto memory = map_sealed_memory(fd->get(), sizeof(Load), MemoryAccess::ReadWrite);
  if (!memory) return memory.error();
  auto* const load = new (memory->get()) Load;
  return SharedLoad{{std::move(*memory), load}, std::move(*fd)};
}

Result<std::shared_ptr<const Load>> map_load(OwnFd fd) {
  auto memory = map_sealed_memory(fd.get(), sizeof(Load), MemoryAccess::Read);
  if (!memory) return memory.error();
  const auto* const load = reinterpret_cast<const Load*>(memory->get());
  return std::shared_ptr<const Load>{std::move(*memory), load};
}

}  // namespace cohort::net
