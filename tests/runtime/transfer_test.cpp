// Transfers of every pattern against what the layouts say.
#include "runtime/transfer.hpp"

#include <memory>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/reshard.hpp"
#include "runtime/comm/local.hpp"

namespace soapstone::runtime {
namespace {

using core::Box;
using core::DeviceId;
using core::Interval;

class OneTransfer final : public Program {
 public:
  OneTransfer(const core::Transfer& t, std::uint32_t member, Endpoint& endpoint)
      : endpoint_(endpoint),
        prepared_(t, member),
        run_(prepared_.most_requests()),
        staging_(static_cast<std::size_t>(prepared_.staging().value) + 64) {
    const core::TransferMember& m = t.members[member];
    held.resize(static_cast<std::size_t>(core::elements(m.held)));
    wanted.assign(static_cast<std::size_t>(core::elements(m.wanted)), -777.0);
    buffers_ = {{held.empty() ? nullptr : held.data(), core::DType::kF64, m.held, t.order},
                {wanted.empty() ? nullptr : wanted.data(), core::DType::kF64, m.wanted, t.order},
                staging_.data()};
  }
  void begin() { run_.begin(prepared_, buffers_, 5); }
  Progress advance() override { return run_.advance(endpoint_); }
  std::string waits_for() const override { return run_.waits_for(); }

  std::vector<double> held, wanted;

 private:
  Endpoint& endpoint_;
  PreparedTransfer prepared_;
  TransferRun run_;
  std::vector<std::byte> staging_;
  TransferBuffers buffers_;
};

class Idle final : public Program {
 public:
  Progress advance() override { return Progress::kDone; }
  std::string waits_for() const override { return "nothing"; }
};

// The index, in row-major order of `shape`, of every element of a box as it lies in memory.
std::vector<std::int64_t> indices(const Box& box, const core::DimOrder& order,
                                  const core::Shape& shape) {
  std::vector<std::int64_t> out(static_cast<std::size_t>(core::elements(box)));
  const auto local = core::packed_strides(core::extents(box), order),
             global = core::packed_strides(shape, {});
  for (std::size_t n = 0; n < out.size(); ++n) {
    std::int64_t rest = static_cast<std::int64_t>(n), at = 0, index = 0;
    for (std::size_t d = box.size(); d-- > 0;) {
      const std::int64_t i = rest % box[d].extent();
      rest /= box[d].extent();
      at += i * local[d];
      index += (box[d].begin + i) * global[d];
    }
    out[static_cast<std::size_t>(at)] = index;
  }
  return out;
}

core::Layout random_layout(const core::Shape& shape, int devices, std::mt19937_64& random,
                           bool may_be_partial) {
  const auto pick = [&](int most) {
    return static_cast<int>(random() % static_cast<unsigned>(most)) + 1;
  };
  core::Layout layout;
  int left = devices;
  for (const std::int64_t extent : shape) {
    const int parts = std::min<int>(pick(left), static_cast<int>(extent));
    left /= parts;
    layout.parts.emplace_back();
    for (int p = 0; p < parts; ++p)
      layout.parts.back().push_back(core::part_of(extent, 1, parts, p));
  }
  layout.partials = may_be_partial ? pick(left) : 1;
  left /= layout.partials;
  layout.replicas = pick(left);
  std::size_t count = static_cast<std::size_t>(layout.partials * layout.replicas);
  for (const auto& p : layout.parts) count *= p.size();
  std::vector<std::uint32_t> all(static_cast<std::size_t>(devices));
  for (std::uint32_t d = 0; d < all.size(); ++d) all[d] = d;
  if (random() % 2 == 0) std::shuffle(all.begin(), all.end(), random);
  for (std::size_t s = 0; s < count; ++s) layout.devices.push_back(DeviceId(all[s]));
  return layout;
}

core::Transfer transfer_of(const core::ReshardGroup& group, const core::Layout& from,
                           const core::Layout& to, const core::DimOrder& order) {
  core::Transfer t;
  t.pattern = group.pattern;
  t.root = group.root;
  t.sum = group.sum;
  t.dtype = core::DType::kF64;
  t.order = order;
  std::map<std::uint32_t, std::uint32_t> member;
  std::vector<bool> gives(group.members.size(), false);
  const Box nothing(from.parts.size(), Interval{});
  for (std::uint32_t k = 0; k < group.members.size(); ++k) member[group.members[k].value] = k;
  for (const auto& m : group.moves) gives[member.at(from.devices[m.src].value)] = true;
  for (std::size_t k = 0; k < group.members.size(); ++k) {
    const auto src = from.shard_on(group.members[k]), dst = to.shard_on(group.members[k]);
    t.members.push_back({group.members[k],
                         src >= 0 && gives[k] ? from.box(static_cast<std::size_t>(src)) : nothing,
                         dst >= 0 ? to.box(static_cast<std::size_t>(dst)) : nothing});
  }
  if (t.pattern == core::Pattern::kBoxes)
    for (const auto& m : group.moves)
      t.messages.push_back(
          {member.at(from.devices[m.src].value), member.at(to.devices[m.dst].value), m.box});
  return t;
}

// Runs the group's transfer; `value(index)` is the tensor, cut into partials as held = value / 2,
// value / 2 - 1, ….
void check_group(const core::ReshardGroup& group, const core::Layout& from, const core::Layout& to,
                 const core::Shape& shape, const core::DimOrder& order, core::Algorithm algorithm,
                 int devices) {
  core::Transfer t = transfer_of(group, from, to, order);
  t.algorithm = algorithm;
  const auto communicator = make_local_communicator(devices);
  std::vector<std::unique_ptr<Program>> programs;
  std::vector<Program*> pointers;
  std::vector<OneTransfer*> members;
  const auto value = [](std::int64_t index) { return static_cast<double>(3 * index + 1); };
  const auto partial = [&](std::int64_t index, std::int32_t p) {
    double rest = value(index);
    for (std::int32_t k = 1; k < from.partials; ++k) rest -= static_cast<double>(k * 10 + index);
    return p == 0 ? rest : static_cast<double>(p * 10 + index);
  };
  for (int d = 0; d < devices; ++d) {
    const auto k = std::find_if(t.members.begin(), t.members.end(), [&](const auto& m) {
      return m.device.value == static_cast<std::uint32_t>(d);
    });
    if (k == t.members.end()) {
      programs.push_back(std::make_unique<Idle>());
    } else {
      auto p = std::make_unique<OneTransfer>(t, static_cast<std::uint32_t>(k - t.members.begin()),
                                             communicator->endpoint(d));
      const auto shard = from.shard_on(k->device);
      const auto at = indices(k->held, order, shape);
      for (std::size_t i = 0; i < at.size(); ++i)
        p->held[i] = partial(at[i], from.partial(static_cast<std::size_t>(shard)));
      members.push_back(p.get());
      programs.push_back(std::move(p));
    }
    pointers.push_back(programs.back().get());
  }
  std::vector<std::vector<double>> first;
  for (int round = 0; round < 2;
       ++round) {  // the second run finds the first one's remains in staging
    for (OneTransfer* m : members) m->begin();
    communicator->run(pointers);
  }
  for (std::size_t m = 0; m < members.size(); ++m) {
    // Members come by device in `members`.
    std::size_t seen = 0;
    for (int d = 0; d < devices; ++d) {
      if (pointers[static_cast<std::size_t>(d)] != members[m]) continue;
      const auto k = std::find_if(t.members.begin(), t.members.end(), [&](const auto& x) {
        return x.device.value == static_cast<std::uint32_t>(d);
      });
      const auto shard = to.shard_on(k->device);
      const auto at = indices(k->wanted, order, shape);
      for (std::size_t i = 0; i < at.size(); ++i, ++seen) {
        const double expected = to.partial(static_cast<std::size_t>(shard)) > 0 ? 0 : value(at[i]);
        ASSERT_EQ(members[m]->wanted[i], expected)
            << name_of(t.pattern) << " " << name_of(algorithm) << " device " << d << " element "
            << at[i] << "\nfrom " << core::print(from) << "\nto " << core::print(to);
      }
    }
  }
}

TEST(Transfer, every_pattern_and_algorithm_delivers_what_the_layouts_say) {
  std::map<core::Pattern, int> seen;
  for (std::uint64_t seed = 0; seed < 1500; ++seed) {
    std::mt19937_64 random(seed);
    const core::Shape shape{static_cast<std::int64_t>(random() % 5 + 1),
                            static_cast<std::int64_t>(random() % 7 + 1),
                            static_cast<std::int64_t>(random() % 3 + 1)};
    const core::DimOrder order = random() % 2 ? core::DimOrder{} : core::DimOrder{0, 2, 1};
    const int devices = static_cast<int>(random() % 6) + 1;
    core::Layout from = random_layout(shape, devices, random, true);
    core::Layout to = random_layout(shape, devices, random, random() % 4 == 0);
    if (random() % 3 == 0) {  // the collectives' usual cases: the same devices
      to = from;
      to.partials = 1;
      to.replicas = from.partials * from.replicas;
    }
    if (random() % 6 == 0) {  // a tensor of one device for all
      from = core::on_one_device(
          shape, DeviceId(static_cast<std::uint32_t>(random() % static_cast<unsigned>(devices))));
      to = from;
      to.devices.clear();
      for (int d = 0; d < devices; ++d) to.devices.emplace_back(static_cast<std::uint32_t>(d));
      to.replicas = devices;
    }
    const auto patterns = random() % 4 ? core::Patterns::kChosen : core::Patterns::kBoxesOnly;
    for (const auto& group : core::reshard(from, to, patterns).groups) {
      if (group.pattern == core::Pattern::kNone) continue;
      if (to == from) continue;  // partial sums may stay partial
      for (const auto& [algorithm, name] : core::enum_names(core::Algorithm{})) {
        if (group.pattern != core::Pattern::kBoxes &&
            !core::why_not(group.pattern, algorithm).empty())
          continue;
        if (group.pattern == core::Pattern::kBoxes && algorithm != core::Algorithm::kDirect)
          continue;
        check_group(group, from, to, shape, order, algorithm, devices);
        if (HasFatalFailure()) {
          ADD_FAILURE() << "seed " << seed;
          return;
        }
        ++seen[group.pattern];
      }
    }
  }
  for (const auto& [pattern, name] : core::enum_names(core::Pattern{})) {
    if (pattern == core::Pattern::kNone) continue;
    EXPECT_GT(seen[pattern], 10) << name;
  }
}

TEST(Transfer, a_rank_that_nobody_answers_is_reported_with_what_it_waits_for) {
  core::Transfer t;
  t.pattern = core::Pattern::kAllReduce;
  t.algorithm = core::Algorithm::kRing;
  t.sum = true;
  t.dtype = core::DType::kF64;
  for (std::uint32_t d = 0; d < 3; ++d) t.members.push_back({DeviceId(d), {{0, 6}}, {{0, 6}}});
  const auto communicator = make_local_communicator(3);
  OneTransfer a(t, 0, communicator->endpoint(0)), b(t, 1, communicator->endpoint(1));
  Idle idle;
  a.begin();
  b.begin();
  Program* programs[] = {&a, &b, &idle};
  try {
    communicator->run(programs);
    FAIL() << "went on without rank 2";
  } catch (const Deadlock& error) {
    EXPECT_THAT(error.what(),
                testing::HasSubstr("rank 0: round 0 of all-reduce: a message from rank 2"));
    EXPECT_THAT(error.what(), testing::HasSubstr("rank 1: round 0 of all-reduce: "));
    EXPECT_THAT(error.what(), testing::HasSubstr("rank 2: is done"));
  }
}

TEST(LocalCommunicator, a_message_of_another_size_than_expected_is_an_error_that_names_both_ranks) {
  const auto communicator = make_local_communicator(2);
  double out[2] = {}, in[3] = {};
  const Request send = communicator->endpoint(0).send(1, 9, out, core::Bytes(16));
  EXPECT_THROW((void)communicator->endpoint(1).receive(0, 9, in, core::Bytes(24)),
               CommunicationError);
}

}  // namespace
}  // namespace soapstone::runtime
