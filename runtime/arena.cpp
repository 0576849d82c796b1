#include "runtime/arena.hpp"

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <fmt/core.h>
#include <sys/mman.h>

namespace soapstone::runtime {

Arena::Arena(core::Bytes size) : size_(static_cast<std::size_t>(size.value)) {
  if (size_ == 0) return;
  void* memory = mmap(nullptr, size_, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    throw std::runtime_error(
        fmt::format("an arena of {} bytes cannot be had: {}", size_, std::strerror(errno)));
  data_ = static_cast<std::byte*>(memory);
  // Advice: a kernel without huge pages says no, and nothing is lost.
  (void)madvise(memory, size_, MADV_HUGEPAGE);
}

Arena::~Arena() {
  if (data_ != nullptr) (void)munmap(data_, size_);
}

}  // namespace soapstone::runtime
