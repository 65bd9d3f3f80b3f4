#include "cli/unused_memory.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace cohort::cli {
namespace {

// Code that was changed when it was loaded has pages of its own, which would be lost.
bool has_text_relocations(const dl_phdr_info& object) {
  for (int i = 0; i < object.dlpi_phnum; ++i) {
    if (object.dlpi_phdr[i].p_type != PT_DYNAMIC) continue;
    const auto* entry =
        reinterpret_cast<const ElfW(Dyn)*>(object.dlpi_addr + object.dlpi_phdr[i].p_vaddr);
    for (; entry->d_tag != DT_NULL; ++entry)
      if (entry->d_tag == DT_TEXTREL ||
          (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL) != 0))
        return true;
  }
  return false;
}

int unmap_code(dl_phdr_info* object, std::size_t, void*) {
  if (has_text_relocations(*object)) return 0;
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || segment.p_flags != (PF_R | PF_X)) continue;
    const std::uintptr_t begin = object->dlpi_addr + segment.p_vaddr;
    const std::uintptr_t from = begin & ~(page - 1);
    ::madvise(reinterpret_cast<void*>(from), begin + segment.p_memsz - from, MADV_DONTNEED);
  }
  return 0;
}

}  // namespace

void give_back_unused_memory() {
  ::dl_iterate_phdr(unmap_code, nullptr);
  ::malloc_trim(0);
}

}  // namespace cohort::cli
