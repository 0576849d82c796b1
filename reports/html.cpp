#include "reports/html.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/assert.hpp"
#include "core/version_text.hpp"
#include "reports/detail/page_files.hpp"
#include "reports/memory_curves.hpp"
#include "reports/op_table.hpp"
#include "reports/strategy_table.hpp"

namespace soapstone::reports {

using namespace core;

namespace {

// Memory of more devices than this is not drawn: those that need most are.
constexpr std::size_t kMostCurves = 32;

template <NamedEnum E>
Json names_of() {
  Json out = Json::array();
  for (const auto& [value, name] : enum_names(E{})) out.push_back(name);
  return out;
}

template <class T>
Json number(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

// A column of numbers.
template <class List, class Get>
Json column(const List& list, Get get) {
  Json out = Json::array();
  for (const auto& entry : list) out.push_back(get(entry));
  return out;
}
template <class Q>
Json values(const std::vector<Q>& list) {
  return column(list, [](const Q& q) { return q.value; });
}
template <class E>
Json indices(const std::vector<E>& list) {
  return column(list, [](E e) { return static_cast<int>(e); });
}

Json json_of(const WorkTimes& times) {
  return {{"compute", times.compute.value},
          {"transfer", times.transfer.value},
          {"update", times.update.value}};
}

Json ops_json(const std::vector<OpRow>& rows) {
  return column(rows, [](const OpRow& row) {
    return Json{{"name", row.name},
                {"kind", row.kind},
                {"split", row.split},
                {"devices", row.devices},
                {"predicted", json_of(row.predicted)},
                {"measured", row.measured ? json_of(*row.measured) : Json(nullptr)},
                {"longest", row.longest.value},
                {"moved", row.moved.value},
                {"memory", row.memory.value},
                {"source", row.source},
                {"empty", row.is_empty()}};
  });
}

Json strategies_json(const std::vector<StrategyRow>& rows) {
  return column(rows, [](const StrategyRow& row) {
    return Json{{"rank", row.rank},
                {"step", row.step_time.value},
                {"samples_per_second", row.samples_per_second},
                {"memory", row.peak_memory.value},
                {"origin", row.origin},
                {"feasible", row.feasible},
                {"why_not", row.why_not},
                {"strategy", row.strategy},
                {"shown", row.is_shown}};
  });
}

Json memory_json(const Plan& plan, const Trace& trace) {
  auto curves = memory_curves(plan, trace);
  if (curves.size() > kMostCurves) {
    std::stable_sort(curves.begin(), curves.end(),
                     [](const auto& a, const auto& b) { return a.peak_bytes > b.peak_bytes; });
    curves.resize(kMostCurves);
    std::stable_sort(curves.begin(), curves.end(),
                     [](const auto& a, const auto& b) { return a.device < b.device; });
  }
  return column(curves, [](const MemoryCurve& c) {
    return Json{{"device", c.device.value},
                {"time", values(c.time)},
                {"held", column(c.held, [](const auto& held) { return values(held); })},
                {"peak", c.peak},
                {"peak_bytes", c.peak_bytes.value},
                {"arena", c.arena.value}};
  });
}

Json trace_json(const ReportInput& input, const Trace& trace) {
  const Spans& s = trace.spans;
  // Spans are sorted by lane: lane l has those from first[l] to first[l + 1].
  std::vector<std::size_t> first(trace.lanes.size() + 1, s.size());
  for (std::size_t i = s.size(); i-- > 0;) first[s.lane[i]] = i;
  for (std::size_t l = trace.lanes.size(); l-- > 0;) first[l] = std::min(first[l], first[l + 1]);
  return {
      {"origin", name_of(trace.origin)},
      {"step", trace.step_time.value},
      {"steps", trace.steps},
      {"labels", trace.labels},
      {"lanes", column(trace.lanes,
                       [](const Lane& lane) {
                         return Json{{"device", lane.device.value}, {"kind", name_of(lane.kind)}};
                       })},
      {"first", first},
      {"start", values(s.start)},
      {"end", values(s.end)},
      {"waiting", values(s.waiting)},
      {"kind", indices(s.kind)},
      {"phase", indices(s.phase)},
      {"task", s.task},
      {"label", s.label},
      {"row", rows_of_spans(input.graph, input.plan, trace)},
      {"bytes", values(s.bytes)},
      {"flops", values(s.flops)},
      {"source", indices(s.source)},
      {"memory", memory_json(input.plan, trace)}};
}

Json picture_json(const Picture& picture, ColourBy colour) {
  Json colours = Json::object(), legends = Json::object();
  for (const auto& [by, name] : enum_names(ColourBy{})) {
    const Colouring c = colouring(picture, by);
    colours[std::string(name)] = c.nodes;
    legends[std::string(name)] = column(c.legend, [](const LegendEntry& entry) {
      return Json{{"text", entry.text}, {"colour", entry.colour}};
    });
  }
  return {
      {"colour", name_of(colour)},
      {"colours", std::move(colours)},
      {"legends", std::move(legends)},
      {"nodes", column(picture.nodes, [](const PictureNode& node) {
         return Json{
             {"id", node.id},           {"name", node.name},           {"ops", node.ops},
             {"time", node.time.value}, {"memory", node.memory.value}, {"moved", node.moved.value}};
       })}};
}

Json metrics_json(const TrainingMetrics& metrics) {
  const auto names = metrics.names();
  const auto part = [&](const auto& list) {
    Json out{{"step", column(list, [](const auto& m) { return m.step; })},
             {"epoch", column(list, [](const auto& m) { return m.epoch; })},
             {"loss", column(list, [](const auto& m) { return number(m.loss); })}};
    for (const std::string& name : names)
      out[name] = column(list, [&](const auto& m) {
        const auto found = m.metrics.find(name);
        return number(found == m.metrics.end() ? std::nullopt : std::optional(found->second));
      });
    return out;
  };
  Json steps = part(metrics.steps);
  steps["samples_per_second"] =
      column(metrics.steps, [](const StepMetrics& m) { return number(m.samples_per_second); });
  return {
      {"metrics", names}, {"steps", std::move(steps)}, {"evaluations", part(metrics.evaluations)}};
}

Json page_json(const ReportInput& input, const PageOptions& options) {
  Json out;
  out["model"] = input.graph.name();
  out["batch"] = input.graph.batch();
  out["micro_batches"] = input.strategy.micro_batches;
  out["cluster"] = input.cluster.name();
  out["devices"] = input.cluster.size();
  out["strategy"] = summary(input.graph, input.strategy);
  out["version"] = version_text();
  out["notes"] = options.notes;
  out["names"] = {{"kind", names_of<TaskKind>()},
                  {"phase", names_of<Phase>()},
                  {"source", names_of<CostSource>()},
                  {"holder", names_of<Holder>()}};
  out["ops"] = ops_json(op_table(input));
  out["traces"] = Json::array({trace_json(input, input.predicted)});
  if (input.measured) out["traces"].push_back(trace_json(input, *input.measured));
  out["search"] = nullptr;
  if (input.ranked)
    out["search"] = {{"searcher", input.ranked->searcher},
                     {"proposals", input.ranked->proposals},
                     {"seed", input.ranked->seed},
                     {"strategies",
                      strategies_json(strategy_table(input.graph, *input.ranked, input.strategy))}};
  out["picture"] = picture_json(picture(input), options.colour);
  out["training"] = input.metrics ? metrics_json(*input.metrics) : Json(nullptr);
  return out;
}

// Inside a script element nothing may look like its end or like a comment.
std::string script_text(const Json& json) {
  std::string out;
  for (const char c : json.dump(-1, ' ', false, Json::error_handler_t::replace))
    if (c == '<')
      out += "\\u003c";
    else
      out += c;
  return out;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  return out;
}

void erase_between(std::string& text, std::string_view from, std::string_view to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at)) {
    const auto end = text.find(to, at + from.size());
    text.erase(at, end == std::string::npos ? end : end + to.size() - at);
  }
}

// The svg element alone; a page needs no namespaces.
std::string inline_svg(std::string text) {
  text.erase(0, std::min(text.find("<svg"), text.size()));
  erase_between(text, "<!--", "-->");
  erase_between(text, " xmlns=\"", "\"");
  erase_between(text, " xmlns:xlink=\"", "\"");
  return text;
}

std::string files_ending_in(std::string_view suffix) {
  std::string out;
  for (const auto& [name, text] : detail::page_files())
    if (name.ends_with(suffix)) out += text;
  return out;
}

// Puts the values of {{names}} into the template; values are not looked through again.
std::string filled(std::string_view text,
                   std::span<const std::pair<std::string_view, std::string>> values_of_names) {
  std::string out;
  while (!text.empty()) {
    const auto begin = std::min(text.find("{{"), text.size());
    out += text.substr(0, begin);
    text.remove_prefix(begin);
    if (text.empty()) break;
    const auto end = text.find("}}");
    SOAPSTONE_ASSERT(end != std::string_view::npos, "page.html: {{{{ without }}}}");
    const std::string_view name = text.substr(2, end - 2);
    const auto found = std::find_if(values_of_names.begin(), values_of_names.end(),
                                    [&](const auto& v) { return v.first == name; });
    SOAPSTONE_ASSERT(found != values_of_names.end(), "page.html: unknown name {}", name);
    out += found->second;
    text.remove_prefix(end + 2);
  }
  return out;
}

}  // namespace

std::string html_page(const ReportInput& input, const PageOptions& options) {
  const std::pair<std::string_view, std::string> parts[] = {
      {"title", escaped(fmt::format("{} on {}", input.graph.name(), input.cluster.name()))},
      {"style", files_ending_in(".css")},
      {"graph", inline_svg(options.svg)},
      {"data", script_text(page_json(input, options))},
      {"script", "(() => {\n'use strict';\n" + files_ending_in(".js") + "})();\n"},
  };
  return filled(files_ending_in(".html"), parts);
}

}  // namespace soapstone::reports
