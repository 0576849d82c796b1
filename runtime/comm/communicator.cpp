#include "runtime/comm/communicator.hpp"

#include <array>
#include <cstring>

#include "core/suggest.hpp"
#include "runtime/comm/local.hpp"
#if SOAPSTONE_HAS_MPI
#include "runtime/comm/mpi.hpp"
#endif

namespace soapstone::runtime {

void Communicator::barrier() {
  (void)gather({});
  (void)broadcast({});
}

void Communicator::sum(std::span<double> values) {
  if (processes() == 1) return;
  const std::size_t bytes = values.size_bytes();
  const auto parts = gather(std::string(reinterpret_cast<const char*>(values.data()), bytes));
  std::string total;
  if (process() == 0) {
    std::vector<double> part(values.size());
    for (std::size_t p = 1; p < parts.size(); ++p) {
      if (parts[p].size() != bytes)
        throw CommunicationError(
            fmt::format("process {} adds {} bytes to a sum of {}", p, parts[p].size(), bytes));
      std::memcpy(part.data(), parts[p].data(), bytes);
      for (std::size_t i = 0; i < values.size(); ++i) values[i] += part[i];
    }
    total.assign(reinterpret_cast<const char*>(values.data()), bytes);
  }
  total = broadcast(total);
  std::memcpy(values.data(), total.data(), bytes);
}

core::Status Communicator::agree(const core::Status& own) {
  if (processes() == 1) return own;
  // One character for the kind of error, then the message; empty: fine.
  const auto parts =
      gather(own ? std::string()
                 : std::to_string(static_cast<int>(own.error().kind)) + own.error().message);
  std::string first;
  for (std::size_t p = 0; p < parts.size() && first.empty(); ++p)
    if (!parts[p].empty())
      first =
          parts[p].substr(0, 1) + (p == 0 ? "" : fmt::format("rank {}: ", p)) + parts[p].substr(1);
  first = broadcast(first);
  if (first.empty()) return {};
  return tl::unexpected(core::Error{first.substr(1), static_cast<core::ErrorKind>(first[0] - '0')});
}

core::Status guarded(Communicator& communicator, const std::function<core::Status()>& work) {
  try {
    return work();
  } catch (const RankFailure& failure) {
    return core::fail("{}", failure.what());  // the others know from the same rank
  } catch (const std::exception& error) {
    communicator.announce_failure(error.what());
    return core::fail(
        "{}{}",
        communicator.processes() > 1 ? fmt::format("rank {}: ", communicator.process()) : "",
        error.what());
  }
}

core::Result<std::unique_ptr<Communicator>> make_communicator(std::string_view backend, int ranks) {
  if (backend == "local") {
    if (ranks < 1) return core::usage_error("{} ranks; accepted: at least 1", ranks);
    return make_local_communicator(ranks);
  }
  if (backend == "mpi") {
#if SOAPSTONE_HAS_MPI
    return make_mpi_communicator(ranks);
#else
    return core::refuse(
        "this build has no MPI; configure with -DSOAPSTONE_ENABLE_MPI=ON, or use the backend "
        "`local`");
#endif
  }
  static constexpr std::array<std::string_view, 2> kNames{"local", "mpi"};
  return core::usage_error("unknown backend `{}`; {}", backend,
                           core::accepted_names(backend, kNames));
}

}  // namespace soapstone::runtime
