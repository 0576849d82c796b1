#include "kernels/onednn/onednn.hpp"

#include <initializer_list>

#include <dnnl.hpp>
#include <fmt/core.h>

#include "core/assert.hpp"

namespace soapstone::kernels::onednn {

namespace {

using dnnl::algorithm;
using dnnl::memory;
using dnnl::primitive_attr;
using dnnl::prop_kind;
using Desc = memory::desc;

constexpr std::int64_t kAlignment = 64;

constexpr std::int64_t aligned(std::size_t bytes) {
  return (static_cast<std::int64_t>(bytes) + kAlignment - 1) / kAlignment * kAlignment;
}

// For calls of the C interface, which is used where the C++ one would allocate.
#define SOAPSTONE_DNNL_CHECK(call)                                                         \
  do {                                                                                     \
    if (const dnnl_status_t soapstone_status = (call); soapstone_status != dnnl_success)   \
      throw OneDnnError(                                                                   \
          fmt::format("{}: oneDNN status {}", #call, static_cast<int>(soapstone_status))); \
  } while (false)

memory::dims dims_of(const std::vector<std::int64_t>& v) { return {v.begin(), v.end()}; }
template <std::size_t N>
memory::dims dims_of(const std::array<std::int64_t, N>& v) {
  return {v.begin(), v.end()};
}

memory::data_type type_of(core::DType t) {
  SOAPSTONE_ASSERT(t == core::DType::kF32 || t == core::DType::kBF16, "{} for oneDNN", name_of(t));
  return t == core::DType::kF32 ? memory::data_type::f32 : memory::data_type::bf16;
}

Desc desc_of(const Tensor& t) {
  return Desc(dims_of(t.extents), type_of(t.dtype), dims_of(t.strides));
}
Desc any_layout(const Tensor& t, core::DType dtype) {
  return Desc(dims_of(t.extents), type_of(dtype), memory::format_tag::any);
}
Desc vector_of(std::int64_t extent) {
  return Desc({extent}, memory::data_type::f32, memory::format_tag::a);
}

primitive_attr attributes(Fused fused = Fused::kNone) {
  primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (fused == Fused::kRelu) {
    dnnl::post_ops post;
#if DNNL_VERSION_MAJOR >= 3
    post.append_eltwise(algorithm::eltwise_relu, 0, 0);
#else
    post.append_eltwise(1, algorithm::eltwise_relu, 0, 0);
#endif
    attr.set_post_ops(post);
  }
  return attr;
}

// Primitive<Kind>(engine, attr, hint…, arguments…) is how version 3 spells it; version 2 first
// packs the arguments into a descriptor.
template <class Kind, class... Arguments>
typename Kind::primitive_desc describe(const dnnl::engine& engine, const primitive_attr& attr,
                                       const Arguments&... arguments) {
#if DNNL_VERSION_MAJOR >= 3
  return typename Kind::primitive_desc(engine, arguments..., attr, true);
#else
  return typename Kind::primitive_desc(typename Kind::desc(arguments...), attr, engine, true);
#endif
}
template <class Kind, class Hint, class... Arguments>
typename Kind::primitive_desc describe_backward(const dnnl::engine& engine,
                                                const primitive_attr& attr, const Hint& hint,
                                                const Arguments&... arguments) {
#if DNNL_VERSION_MAJOR >= 3
  return typename Kind::primitive_desc(engine, arguments..., hint, attr, true);
#else
  return typename Kind::primitive_desc(typename Kind::desc(arguments...), attr, engine, hint, true);
#endif
}

}  // namespace

struct Operation::State {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  std::string why_not = "nothing was asked";
  std::string implementation;
  dnnl::primitive_desc_base description;
  dnnl::primitive primitive;
  std::size_t scratchpad = 0, choice = 0;

  // The weight as the primitive wants it, in scratch behind the scratchpad.
  enum class Reorder { kNone, kBefore, kAfter } reorder_when = Reorder::kNone;
  dnnl::reorder::primitive_desc reorder_description;
  dnnl::reorder reorder;
  std::size_t weight_bytes = 0, reorder_scratchpad = 0;

  // Memory objects are made once; their addresses are set at every call.
  struct Slot {
    Argument argument;
    int dnnl_argument;
    Desc desc;
  };
  std::vector<Slot> slots;
  Desc plain_weight;
  mutable std::vector<memory> memories;  // as slots; then scratchpad
  mutable std::vector<dnnl_exec_arg_t> arguments;
  mutable memory plain, reordered, reorder_scratch;
  mutable std::vector<dnnl_exec_arg_t> reorder_arguments;

  std::int64_t bytes() const {
    return aligned(scratchpad) + aligned(weight_bytes) + aligned(reorder_scratchpad);
  }
};

// Fills the state of an operation.
struct Builder {
  Operation operation;
  Operation::State& state = *operation.state_;

  template <class PrimitiveDesc>
  bool accept(const PrimitiveDesc& description) {
    if (!description.get(true)) {
      state.why_not = "oneDNN has no such primitive";
      return false;
    }
    state.implementation = description.impl_info_str();
    if (state.implementation.rfind("ref", 0) == 0 ||
        state.implementation.find(":ref") != std::string::npos) {
      state.why_not = fmt::format("oneDNN has its reference code only ({})", state.implementation);
      return false;
    }
    state.description = description;
    state.scratchpad = description.scratchpad_desc().get_size();
    state.why_not.clear();
    return true;
  }
  void slot(Argument argument, int dnnl_argument, const Desc& desc) {
    state.slots.push_back({argument, dnnl_argument, desc});
  }
  // A weight (or its gradient) that lies as `plain` outside and as `wanted` inside.
  void weight(int dnnl_argument, const Desc& plain, const Desc& wanted) {
    slot(Argument::kWeight, dnnl_argument, wanted);
    if (plain == wanted) return;
    const bool before = dnnl_argument == DNNL_ARG_WEIGHTS;
    const dnnl::engine& engine = state.engine;
    state.plain_weight = plain;
    state.weight_bytes = wanted.get_size();
    state.reorder_when =
        before ? Operation::State::Reorder::kBefore : Operation::State::Reorder::kAfter;
    state.reorder_description = dnnl::reorder::primitive_desc(
        engine, before ? plain : wanted, engine, before ? wanted : plain, attributes());
    state.reorder_scratchpad = state.reorder_description.scratchpad_desc().get_size();
  }
  // `build` describes the primitive; what oneDNN throws becomes the refusal.
  template <class Build>
  static Operation run(const Build& build) {
    Builder builder;
    try {
      build(builder);
    } catch (const dnnl::error& e) {
      builder.state.why_not = fmt::format("oneDNN: {}", e.what());
    }
    return std::move(builder.operation);
  }
};

Operation::Operation() : state_(std::make_unique<State>()) {}
Operation::~Operation() = default;
Operation::Operation(Operation&&) noexcept = default;
Operation& Operation::operator=(Operation&&) noexcept = default;

const std::string& Operation::why_not() const { return state_->why_not; }
const std::string& Operation::implementation() const { return state_->implementation; }
core::Bytes Operation::scratch() const { return core::Bytes(state_->bytes()); }
core::Bytes Operation::choice() const {
  return core::Bytes(static_cast<std::int64_t>(state_->choice));
}

void Operation::compile() {
  SOAPSTONE_ASSERT(state_->why_not.empty(), "compiling what is refused: {}", state_->why_not);
  State& s = *state_;
  try {
    s.primitive = dnnl::primitive(s.description.get());
    const auto add = [&](int argument, const memory& m, std::vector<dnnl_exec_arg_t>& to) {
      to.push_back({argument, m.get()});
    };
    for (const State::Slot& slot : s.slots) {
      s.memories.emplace_back(slot.desc, s.engine, nullptr);
      add(slot.dnnl_argument, s.memories.back(), s.arguments);
    }
    const auto bytes = [](std::size_t n) {
      return Desc({static_cast<std::int64_t>(n)}, memory::data_type::u8, memory::format_tag::a);
    };
    if (s.scratchpad > 0) {
      s.memories.emplace_back(bytes(s.scratchpad), s.engine, nullptr);
      add(DNNL_ARG_SCRATCHPAD, s.memories.back(), s.arguments);
    }
    if (s.reorder_when != State::Reorder::kNone) {
      s.reorder = dnnl::reorder(s.reorder_description);
      s.plain = memory(s.plain_weight, s.engine, nullptr);
      for (std::size_t k = 0; k < s.slots.size(); ++k)
        if (s.slots[k].argument == Argument::kWeight) s.reordered = s.memories[k];
      const bool before = s.reorder_when == State::Reorder::kBefore;
      add(DNNL_ARG_FROM, before ? s.plain : s.reordered, s.reorder_arguments);
      add(DNNL_ARG_TO, before ? s.reordered : s.plain, s.reorder_arguments);
      if (s.reorder_scratchpad > 0) {
        s.reorder_scratch = memory(bytes(s.reorder_scratchpad), s.engine, nullptr);
        add(DNNL_ARG_SCRATCHPAD, s.reorder_scratch, s.reorder_arguments);
      }
    }
  } catch (const dnnl::error& e) {
    throw OneDnnError(fmt::format("compiling {}: {} (status {})", s.implementation, e.what(),
                                  static_cast<int>(e.status)));
  }
}

void Operation::execute(std::initializer_list<Data> data, void* scratch, Weight weight) const {
  const State& s = *state_;
  SOAPSTONE_ASSERT(!s.memories.empty(), "the operation was not compiled");
  SOAPSTONE_ASSERT(scratch != nullptr || s.bytes() == 0, "{} bytes of scratch memory are missing",
                   s.bytes());
  auto* base = static_cast<std::byte*>(scratch);
  const auto set = [](const memory& m, void* to) {
    SOAPSTONE_DNNL_CHECK(dnnl_memory_set_data_handle(m.get(), to));
  };
  const auto launch = [&](const dnnl::primitive& primitive,
                          const std::vector<dnnl_exec_arg_t>& arguments) {
    SOAPSTONE_DNNL_CHECK(dnnl_primitive_execute(
        primitive.get(), s.stream.get(), static_cast<int>(arguments.size()), arguments.data()));
  };
  std::byte* inner = base + aligned(s.scratchpad);
  for (std::size_t k = 0; k < s.slots.size(); ++k) {
    void* address = nullptr;
    for (const Data& d : data)
      if (d.argument == s.slots[k].argument) address = d.data;
    SOAPSTONE_ASSERT(address != nullptr, "argument {} of {} is missing", k, s.implementation);
    if (s.slots[k].argument == Argument::kWeight && s.reorder_when != State::Reorder::kNone) {
      set(s.plain, address);
      address = inner;
    }
    set(s.memories[k], address);
  }
  if (s.scratchpad > 0) set(s.memories.back(), base);
  if (s.reorder_scratchpad > 0) set(s.reorder_scratch, inner + aligned(s.weight_bytes));
  if (s.reorder_when == State::Reorder::kBefore && weight == Weight::kNew)
    launch(s.reorder, s.reorder_arguments);
  launch(s.primitive, s.arguments);
  if (s.reorder_when == State::Reorder::kAfter) launch(s.reorder, s.reorder_arguments);
}

std::string version() {
  const dnnl_version_t* v = dnnl_version();
  const char* runtime = v->cpu_runtime == DNNL_RUNTIME_OMP   ? "OMP"
                        : v->cpu_runtime == DNNL_RUNTIME_TBB ? "TBB"
                        : v->cpu_runtime == DNNL_RUNTIME_SEQ ? "sequential"
                                                             : "threadpool";
  return fmt::format("{}.{}.{} {}", v->major, v->minor, v->patch, runtime);
}

// --- convolution ---------------------------------------------------------------------------------

namespace {

// Activations lie as given; the weight as oneDNN likes.
struct ConvolutionDescs {
  Desc source, weight, weight_gradient, plain_weight, bias, destination;
  memory::dims stride, dilation, pad_begin, pad_end;

  explicit ConvolutionDescs(const Convolution& c)
      : source(desc_of(c.source)),
        weight(any_layout(c.weight, c.source.dtype)),
        weight_gradient(any_layout(c.weight, core::DType::kF32)),
        plain_weight(desc_of(c.weight)),
        bias(c.bias ? vector_of(c.destination.extents[1]) : Desc()),
        destination(desc_of(c.destination)),
        stride(dims_of(c.stride)),
        dilation{c.dilation[0] - 1, c.dilation[1] - 1},
        pad_begin(dims_of(c.pad_begin)),
        pad_end(dims_of(c.pad_end)) {}

  // Direct only: Winograd's rounding is another. Without a bias it has a zero descriptor.
  auto forward(const dnnl::engine& engine, const primitive_attr& attr) const {
    return describe<dnnl::convolution_forward>(engine, attr, prop_kind::forward_training,
                                               algorithm::convolution_direct, source, weight, bias,
                                               destination, stride, dilation, pad_begin, pad_end);
  }
};

}  // namespace

Operation convolution_forward(const Convolution& c, Fused fused) {
  return Builder::run([&](Builder& b) {
    const ConvolutionDescs d(c);
    const auto description = d.forward(b.state.engine, attributes(fused));
    if (!b.accept(description)) return;
    b.slot(Argument::kSource, DNNL_ARG_SRC, d.source);
    b.weight(DNNL_ARG_WEIGHTS, d.plain_weight, description.weights_desc());
    if (c.bias) b.slot(Argument::kBias, DNNL_ARG_BIAS, d.bias);
    b.slot(Argument::kDestination, DNNL_ARG_DST, d.destination);
  });
}

Operation convolution_backward_input(const Convolution& c) {
  return Builder::run([&](Builder& b) {
    const ConvolutionDescs d(c);
    const auto hint = d.forward(b.state.engine, attributes());
    if (!b.accept(hint)) return;
    const auto description = describe_backward<dnnl::convolution_backward_data>(
        b.state.engine, attributes(), hint, algorithm::convolution_direct, d.source, d.weight,
        d.destination, d.stride, d.dilation, d.pad_begin, d.pad_end);
    if (!b.accept(description)) return;
    b.slot(Argument::kSource, DNNL_ARG_DIFF_SRC, d.source);
    b.weight(DNNL_ARG_WEIGHTS, d.plain_weight, description.weights_desc());
    b.slot(Argument::kDestination, DNNL_ARG_DIFF_DST, d.destination);
  });
}

Operation convolution_backward_weight(const Convolution& c) {
  return Builder::run([&](Builder& b) {
    const ConvolutionDescs d(c);
    const auto hint = d.forward(b.state.engine, attributes());
    if (!b.accept(hint)) return;
    const auto description = describe_backward<dnnl::convolution_backward_weights>(
        b.state.engine, attributes(), hint, algorithm::convolution_direct, d.source,
        d.weight_gradient, d.bias, d.destination, d.stride, d.dilation, d.pad_begin, d.pad_end);
    if (!b.accept(description)) return;
    b.slot(Argument::kSource, DNNL_ARG_SRC, d.source);
    b.weight(DNNL_ARG_DIFF_WEIGHTS, d.plain_weight, description.diff_weights_desc());
    if (c.bias) b.slot(Argument::kBias, DNNL_ARG_DIFF_BIAS, d.bias);
    b.slot(Argument::kDestination, DNNL_ARG_DIFF_DST, d.destination);
  });
}

// --- products ------------------------------------------------------------------------------------
// Forward is faster as matmul, backward as inner_product (measured with 2.6.3 on AVX-512: 205
// against 104 to 163 GFLOP/s forward, 165 to 205 against 225 backward).

namespace {

Desc matrix(std::int64_t rows, std::int64_t columns, core::DType dtype) {
  return Desc({rows, columns}, type_of(dtype), memory::format_tag::ab);
}

struct ProductDescs {
  Desc x, w, plain_weight, bias, y;
  explicit ProductDescs(const Product& p)
      : x(matrix(p.b, p.i, p.dtype)),
        w(p.dtype == core::DType::kF32
              ? matrix(p.o, p.i, p.dtype)
              : Desc({p.o, p.i}, type_of(p.dtype), memory::format_tag::any)),
        plain_weight(matrix(p.o, p.i, core::DType::kF32)),
        bias(p.bias ? vector_of(p.o) : Desc()),
        y(matrix(p.b, p.o, p.dtype)) {}
  auto forward(const dnnl::engine& engine) const {
    return describe<dnnl::inner_product_forward>(engine, attributes(), prop_kind::forward_training,
                                                 x, w, bias, y);
  }
};

}  // namespace

Operation product_forward(const Product& p, Fused fused) {
  return Builder::run([&](Builder& b) {
    const ProductDescs d(p);
    const Desc plain({p.i, p.o}, memory::data_type::f32, memory::format_tag::ba);
    const Desc wanted = p.dtype == core::DType::kF32
                            ? plain
                            : Desc({p.i, p.o}, type_of(p.dtype), memory::format_tag::any);
    const Desc bias = p.bias ? matrix(1, p.o, core::DType::kF32) : Desc();
    const auto description =
        describe<dnnl::matmul>(b.state.engine, attributes(fused), d.x, wanted, bias, d.y);
    if (!b.accept(description)) return;
    b.slot(Argument::kSource, DNNL_ARG_SRC, d.x);
    b.weight(DNNL_ARG_WEIGHTS, plain, description.weights_desc());
    if (p.bias) b.slot(Argument::kBias, DNNL_ARG_BIAS, bias);
    b.slot(Argument::kDestination, DNNL_ARG_DST, d.y);
  });
}

Operation product_backward_input(const Product& p) {
  return Builder::run([&](Builder& b) {
    const ProductDescs d(p);
    const auto hint = d.forward(b.state.engine);
    if (!b.accept(hint)) return;
    const auto description = describe_backward<dnnl::inner_product_backward_data>(
        b.state.engine, attributes(), hint, d.x, d.w, d.y);
    if (!b.accept(description)) return;
    b.slot(Argument::kSource, DNNL_ARG_DIFF_SRC, d.x);
    b.weight(DNNL_ARG_WEIGHTS, d.plain_weight, description.weights_desc());
    b.slot(Argument::kDestination, DNNL_ARG_DIFF_DST, d.y);
  });
}

Operation product_backward_weight(const Product& p) {
  return Builder::run([&](Builder& b) {
    const ProductDescs d(p);
    const auto hint = d.forward(b.state.engine);
    if (!b.accept(hint)) return;
    const auto description = describe_backward<dnnl::inner_product_backward_weights>(
        b.state.engine, attributes(), hint, d.x, d.plain_weight, d.bias, d.y);
    if (!b.accept(description)) return;
    b.slot(Argument::kSource, DNNL_ARG_SRC, d.x);
    b.slot(Argument::kWeight, DNNL_ARG_DIFF_WEIGHTS, d.plain_weight);
    if (p.bias) b.slot(Argument::kBias, DNNL_ARG_DIFF_BIAS, d.bias);
    b.slot(Argument::kDestination, DNNL_ARG_DIFF_DST, d.y);
  });
}

namespace {

// With the strides of row-major order where an extent is 1. Version 2.6 chooses a primitive by such
// strides, but its cache of primitives does not look at them: it may return another one, which
// wants more scratch memory.
Desc desc_of_matrices(Tensor t) {
  for (std::size_t d = t.extents.size(); d-- > 0;)
    if (t.extents[d] == 1)
      t.strides[d] = d + 1 < t.extents.size() ? t.strides[d + 1] * t.extents[d + 1] : 1;
  return desc_of(t);
}

}  // namespace

Operation matrix_product(const Matrices& p) {
  return Builder::run([&](Builder& b) {
    const bool reordered = p.reordered || p.weight.dtype != p.source.dtype;
    const Desc plain = desc_of_matrices(p.weight), source = desc_of_matrices(p.source),
               to = desc_of_matrices(p.destination);
    primitive_attr attr = attributes();
    if (p.add) {
      dnnl::post_ops post;
      post.append_sum(1);
      attr.set_post_ops(post);
    }
    const auto description = describe<dnnl::matmul>(
        b.state.engine, attr, source, reordered ? any_layout(p.weight, p.source.dtype) : plain, to);
    if (!b.accept(description)) return;
    b.slot(Argument::kSource, DNNL_ARG_SRC, source);
    b.weight(DNNL_ARG_WEIGHTS, plain, description.weights_desc());
    b.slot(Argument::kDestination, DNNL_ARG_DST, to);
  });
}

// --- pooling -------------------------------------------------------------------------------------

namespace {

auto describe_pooling(const dnnl::engine& engine, const Pool& p) {
  const algorithm kind = p.kind == Pooling::kMaximum ? algorithm::pooling_max
                         : p.kind == Pooling::kMeanOfKernel
                             ? algorithm::pooling_avg_include_padding
                             : algorithm::pooling_avg_exclude_padding;
  return describe<dnnl::pooling_forward>(engine, attributes(), prop_kind::forward_training, kind,
                                         desc_of(p.source), desc_of(p.destination),
                                         dims_of(p.stride), dims_of(p.kernel),
#if DNNL_VERSION_MAJOR >= 3
                                         memory::dims{0, 0},
#endif
                                         dims_of(p.pad_begin), dims_of(p.pad_end));
}

}  // namespace

Operation pooling_forward(const Pool& p) {
  return Builder::run([&](Builder& b) {
    const auto description = describe_pooling(b.state.engine, p);
    if (!b.accept(description)) return;
    b.slot(Argument::kSource, DNNL_ARG_SRC, desc_of(p.source));
    b.slot(Argument::kDestination, DNNL_ARG_DST, desc_of(p.destination));
    if (p.kind != Pooling::kMaximum) return;
    b.slot(Argument::kChoice, DNNL_ARG_WORKSPACE, description.workspace_desc());
    b.state.choice = description.workspace_desc().get_size();
  });
}

Operation pooling_backward(const Pool& p) {
  return Builder::run([&](Builder& b) {
    const auto hint = describe_pooling(b.state.engine, p);
    if (!b.accept(hint)) return;
    const algorithm kind = p.kind == Pooling::kMaximum ? algorithm::pooling_max
                           : p.kind == Pooling::kMeanOfKernel
                               ? algorithm::pooling_avg_include_padding
                               : algorithm::pooling_avg_exclude_padding;
    const auto description = describe_backward<dnnl::pooling_backward>(
        b.state.engine, attributes(), hint, kind, desc_of(p.source), desc_of(p.destination),
        dims_of(p.stride), dims_of(p.kernel),
#if DNNL_VERSION_MAJOR >= 3
        memory::dims{0, 0},
#endif
        dims_of(p.pad_begin), dims_of(p.pad_end));
    if (!b.accept(description)) return;
    b.slot(Argument::kSource, DNNL_ARG_DIFF_SRC, desc_of(p.source));
    b.slot(Argument::kDestination, DNNL_ARG_DIFF_DST, desc_of(p.destination));
    if (p.kind != Pooling::kMaximum) return;
    b.slot(Argument::kChoice, DNNL_ARG_WORKSPACE, description.workspace_desc());
    b.state.choice = description.workspace_desc().get_size();
  });
}

// --- softmax -------------------------------------------------------------------------------------

namespace {

#if DNNL_VERSION_MAJOR >= 3
using SoftmaxForward = dnnl::softmax_forward;
using SoftmaxBackward = dnnl::softmax_backward;
#else
using SoftmaxForward = dnnl::softmax_v2_forward;
using SoftmaxBackward = dnnl::softmax_v2_backward;
#endif

algorithm algorithm_of(const Softmax& s) {
  return s.log ? algorithm::softmax_log : algorithm::softmax_accurate;
}

auto describe_softmax(const dnnl::engine& engine, const Softmax& s) {
  const Desc desc = desc_of(s.tensor);
  return describe<SoftmaxForward>(engine, attributes(), prop_kind::forward_training,
                                  algorithm_of(s), desc, desc, s.axis);
}

}  // namespace

Operation softmax_forward(const Softmax& s) {
  return Builder::run([&](Builder& b) {
    if (!b.accept(describe_softmax(b.state.engine, s))) return;
    b.slot(Argument::kSource, DNNL_ARG_SRC, desc_of(s.tensor));
    b.slot(Argument::kDestination, DNNL_ARG_DST, desc_of(s.tensor));
  });
}

Operation softmax_backward(const Softmax& s) {
  return Builder::run([&](Builder& b) {
    const auto hint = describe_softmax(b.state.engine, s);
    if (!b.accept(hint)) return;
    const Desc desc = desc_of(s.tensor);
    const auto description = describe_backward<SoftmaxBackward>(
        b.state.engine, attributes(), hint, algorithm_of(s), desc, desc, desc, s.axis);
    if (!b.accept(description)) return;
    b.slot(Argument::kSource, DNNL_ARG_DIFF_SRC, desc);
    b.slot(Argument::kDestination, DNNL_ARG_DIFF_DST, desc);
    b.slot(Argument::kValue, DNNL_ARG_DST, desc);
  });
}

}  // namespace soapstone::kernels::onednn
