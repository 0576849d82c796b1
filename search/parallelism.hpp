// Hybrid strategies by their short form, in the words of those who train large models.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/cluster.hpp"
#include "core/graph.hpp"
#include "core/pipeline.hpp"
#include "core/result.hpp"
#include "core/strategy.hpp"

namespace soapstone::search {

// none; selective: what costs few FLOPs per byte that it writes (activations, norms, dropout), as
// in arXiv 2205.05198; full: everything but what a block of layers reads.
enum class Recompute : std::uint8_t { kNone, kSelective, kFull };
SOAPSTONE_ENUM_NAMES(Recompute, {Recompute::kNone, "none"}, {Recompute::kSelective, "selective"},
                     {Recompute::kFull, "full"})

// How attention has all keys and values where the sequence is cut: gathered whole, or block by
// block in a ring (arXiv 2310.01889).
enum class ContextStyle : std::uint8_t { kGather, kRing };
SOAPSTONE_ENUM_NAMES(ContextStyle, {ContextStyle::kGather, "gather"}, {ContextStyle::kRing, "ring"})

// In which order the sequence is held: as it is, or so that every context-parallel rank has a chunk
// of its beginning and one of its end, and causal attention is as much work for all of them
// (core/zigzag.hpp, arXiv 2411.01783).
enum class ContextOrder : std::uint8_t { kContiguous, kZigzag };
SOAPSTONE_ENUM_NAMES(ContextOrder, {ContextOrder::kContiguous, "contiguous"},
                     {ContextOrder::kZigzag, "zigzag"})

// 0: not said.
struct Parallelism {
  std::int32_t dp = 0;  // data parallel: samples; by default all devices that the others leave
  std::int32_t tp = 1;  // tensor parallel: matrices and heads
  std::int32_t pp = 1;  // pipeline parallel: ranks of the pipeline
  std::int32_t cp = 1;  // context parallel: the sequence of all operators
  ContextStyle cp_style = ContextStyle::kGather;
  ContextOrder cp_order = ContextOrder::kContiguous;
  std::int32_t ep = 1;  // expert parallel: experts over so many of the data-parallel ranks
  std::int32_t vp = 1;  // stages per rank of the pipeline
  bool sp = false;      // sequence parallel: between matrices, the sequence over the tp ranks
  std::int32_t zero = 0;
  std::int32_t zero_over = 0;  // hybrid sharding: neighbouring copies that keep all parts; 0: all
  bool server = false;         // weights are updated by one of their copies each
  core::Bytes bucket = core::Bytes(0);  // gradients are summed in buckets of at least this
  core::Offload offload = core::Offload::kNone;
  Recompute recompute = Recompute::kNone;
  std::int32_t micro_batch = 0;  // samples of a micro-batch per data-parallel rank
  core::ScheduleKind schedule = core::ScheduleKind::k1F1B;

  std::int32_t ranks() const { return (dp == 0 ? 1 : dp) * tp * pp * cp; }
};

// "dp=4,tp=8,pp=16,schedule=interleaved-1f1b,vp=4,micro_batch=1,zero=1,recompute=selective,sp=1".
core::Result<Parallelism> parse_parallelism(std::string_view text);

// Tensor-parallel ranks are neighbours, then context-, data- and pipeline-parallel ones. Stages are
// cut where few tensors cross, so that the one with the most FLOPs has as few as possible. Refuses
// what cannot be, with the rule and the nearest value that can.
core::Result<core::Strategy> hybrid(const core::Graph& graph, const core::Cluster& cluster,
                                    const Parallelism& parallelism);

// Says what is computed again, and nothing else is.
void mark_recompute(const core::Graph& graph, Recompute how, core::Strategy& strategy);

}  // namespace soapstone::search
