#include "core/classes_in_parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace soapstone::core {

void for_each_class(const Plan& plan, const std::function<void(std::size_t)>& work) {
  // A thread takes about as long to start as the work on so many buffers.
  constexpr std::size_t kWorthAThread = 2000;
  std::size_t buffers = 0;
  for (const DeviceClass& program : plan.classes) buffers += program.buffers.size();
  const std::size_t count = plan.classes.size();
  const std::size_t threads =
      std::min({count, buffers / kWorthAThread, std::size_t{std::thread::hardware_concurrency()}});

  std::atomic<std::size_t> next = 0;
  std::mutex failing;
  std::exception_ptr failure;
  const auto take = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        work(i);
      } catch (...) {
        const std::scoped_lock lock(failing);
        if (!failure) failure = std::current_exception();
      }
    }
  };
  {
    std::vector<std::jthread> others;
    for (std::size_t t = 1; t < threads; ++t) others.emplace_back(take);
    take();
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace soapstone::core
