#include "runtime/traffic.hpp"

#include <algorithm>
#include <chrono>
#include <vector>

#include "core/assert.hpp"

namespace soapstone::runtime {

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void wait(Endpoint& endpoint, Request& request) {
  for (std::uint32_t attempt = 0; !endpoint.test(request); ++attempt) endpoint.relax(attempt);
}

constexpr int kTag = 1;

}  // namespace

Measurement measure_traffic(Communicator& communicator, Traffic traffic, core::Bytes size, int a,
                            int b, const MeasureOptions& options) {
  SOAPSTONE_ASSERT(communicator.own_ranks().size() == 1, "{} ranks in one process",
                   communicator.own_ranks().size());
  const int rank = communicator.own_ranks()[0];
  const int ranks = communicator.ranks();
  Endpoint& endpoint = communicator.endpoint(rank);
  std::vector<std::byte> out(static_cast<std::size_t>(size.value)), in(out.size());
  const bool ring = traffic == Traffic::kRing;
  const bool takes_part = ring || rank == a || rank == b;
  const int to = ring ? (rank + 1) % ranks : rank == a ? b : a;
  const int from = ring ? (rank + ranks - 1) % ranks : to;
  const auto send = [&] {
    Request request = endpoint.send(to, kTag, out.data(), size);
    wait(endpoint, request);
  };
  const auto receive = [&] {
    Request request = endpoint.receive(from, kTag, in.data(), size);
    wait(endpoint, request);
  };
  const auto once = [&] {
    if (traffic != Traffic::kOneWay) {
      Request incoming = endpoint.receive(from, kTag, in.data(), size);
      Request outgoing = endpoint.send(to, kTag, out.data(), size);
      wait(endpoint, incoming);
      wait(endpoint, outgoing);
    } else if (rank == a) {
      send();
      receive();
    } else {
      receive();
      send();
    }
  };
  // Both ends must do the same number: they agree on it by what the second round takes.
  double first[] = {0};
  communicator.barrier();
  if (takes_part) {
    once();
    const double start = now();
    once();
    first[0] = now() - start;
  }
  communicator.sum(first);
  const double each = std::max(1e-7, first[0] / (ring ? ranks : 2));
  const int repeats = std::clamp(static_cast<int>(options.seconds / each), options.least_repeats,
                                 options.most_repeats);
  communicator.barrier();
  std::vector<double> seconds;
  for (int i = 0; takes_part && i < repeats; ++i) {
    const double start = now();
    once();
    seconds.push_back((now() - start) / (traffic == Traffic::kOneWay ? 2 : 1));
  }
  std::sort(seconds.begin(), seconds.end());
  const auto quantile = [&](double q) {
    return takes_part
               ? seconds[static_cast<std::size_t>(q * static_cast<double>(seconds.size() - 1))]
               : 0.0;
  };
  double values[] = {quantile(0.5), quantile(0.25), quantile(0.75), takes_part ? 1.0 : 0.0};
  communicator.sum(values);
  const auto mean = [&](int k) {
    return core::Nanoseconds(static_cast<std::int64_t>(values[k] / values[3] * 1e9));
  };
  return {mean(0), mean(1), mean(2), repeats};
}

}  // namespace soapstone::runtime
