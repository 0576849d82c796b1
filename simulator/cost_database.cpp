#include "simulator/cost_database.hpp"

#include <algorithm>

#include <sqlite3.h>

namespace soapstone::simulator {

using namespace core;

namespace {

constexpr int kApplication = 0x536f6170;  // "Soap"
constexpr int kSchema = 1;

constexpr const char* kCreate = R"(
CREATE TABLE costs (
  host TEXT NOT NULL, versions TEXT NOT NULL,
  device_kind TEXT NOT NULL, threads INTEGER NOT NULL, busy INTEGER NOT NULL,
  problem TEXT NOT NULL, step TEXT NOT NULL, candidate TEXT NOT NULL,
  median_ns INTEGER NOT NULL, spread_ns INTEGER NOT NULL, repeats INTEGER NOT NULL,
  PRIMARY KEY (host, versions, device_kind, threads, busy, problem, step, candidate)) WITHOUT ROWID;
CREATE TABLE curves (
  host TEXT NOT NULL, versions TEXT NOT NULL,
  curve TEXT NOT NULL, size INTEGER NOT NULL,
  median_ns INTEGER NOT NULL, spread_ns INTEGER NOT NULL, repeats INTEGER NOT NULL,
  PRIMARY KEY (host, versions, curve, size)) WITHOUT ROWID;
)";

struct Close {
  void operator()(sqlite3* db) const { sqlite3_close(db); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

}  // namespace

struct CostDatabase::Impl {
  std::filesystem::path path;
  Environment environment;
  std::unique_ptr<sqlite3, Close> db;

  tl::unexpected<Error> broken(std::string_view doing) const {
    const int code = sqlite3_errcode(db.get());
    if (code == SQLITE_NOTADB)
      return fail("{}: not a cost database (not an SQLite file)", path.string());
    if (code == SQLITE_CORRUPT)
      return fail("{}: the cost database is damaged ({}); delete it to measure again",
                  path.string(), sqlite3_errmsg(db.get()));
    return fail("{}: {}: {}", path.string(), doing, sqlite3_errmsg(db.get()));
  }

  Status run(const char* sql) const {
    if (sqlite3_exec(db.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) return broken(sql);
    return {};
  }

  // Prepares `sql`, binds, and calls `row` for every row.
  template <class Row, class... Bound>
  Status query(const char* sql, Row&& row, const Bound&... bound) const {
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v2(db.get(), sql, -1, &raw, nullptr) != SQLITE_OK) return broken(sql);
    const std::unique_ptr<sqlite3_stmt, Close> statement(raw);
    int index = 0;
    bool ok = true;
    [[maybe_unused]] const auto bind = [&](const auto& value) {
      ++index;
      if constexpr (std::is_integral_v<std::decay_t<decltype(value)>>)
        ok &= sqlite3_bind_int64(raw, index, value) == SQLITE_OK;
      else
        ok &= sqlite3_bind_text(raw, index, value.data(), static_cast<int>(value.size()),
                                SQLITE_TRANSIENT) == SQLITE_OK;
    };
    (bind(bound), ...);
    if (!ok || index != sqlite3_bind_parameter_count(raw)) return broken(sql);
    while (true) {
      const int code = sqlite3_step(raw);
      if (code == SQLITE_DONE) return {};
      if (code != SQLITE_ROW) return broken(sql);
      row(raw);
    }
  }

  Result<std::int64_t> number(const char* sql) const {
    std::int64_t value = 0;
    SOAPSTONE_TRY(query(sql, [&](sqlite3_stmt* r) { value = sqlite3_column_int64(r, 0); }));
    return value;
  }

  // All or nothing.
  template <class Body>
  Status transaction(Body&& body) const {
    SOAPSTONE_TRY(run("BEGIN IMMEDIATE"));
    Status done = body();
    if (done) done = run("COMMIT");
    if (!done)
      sqlite3_exec(db.get(), "ROLLBACK", nullptr, nullptr,
                   nullptr);  // the first error is the one to tell
    return done;
  }

  Status create() const {
    // Another process may have been faster.
    SOAPSTONE_ASSIGN(const std::int64_t application, number("PRAGMA application_id"));
    if (application == kApplication) return {};
    SOAPSTONE_TRY(run(kCreate));
    SOAPSTONE_TRY(run(("PRAGMA user_version = " + std::to_string(kSchema)).c_str()));
    return run(("PRAGMA application_id = " + std::to_string(kApplication)).c_str());
  }

  Status prepare() const {
    sqlite3_busy_timeout(db.get(), 10'000);
    SOAPSTONE_ASSIGN(const std::int64_t application, number("PRAGMA application_id"));
    SOAPSTONE_ASSIGN(const std::int64_t schema, number("PRAGMA user_version"));
    SOAPSTONE_ASSIGN(const std::int64_t tables, number("SELECT count(*) FROM sqlite_master"));
    if (application != kApplication && (application != 0 || tables > 0))
      return fail("{}: not a cost database (an SQLite file of another program)", path.string());
    if (application == kApplication && schema != kSchema)
      return fail("{}: a cost database with schema {}; this Soapstone reads schema {}",
                  path.string(), schema, kSchema);
    SOAPSTONE_TRY(run("PRAGMA journal_mode = WAL"));
    SOAPSTONE_TRY(run("PRAGMA synchronous = NORMAL"));
    if (application != kApplication) {
      const Status created = transaction([&] { return create(); });
      if (!created) return created;
    }
    std::string problem;
    SOAPSTONE_TRY(query("PRAGMA quick_check(1)", [&](sqlite3_stmt* r) {
      problem = reinterpret_cast<const char*>(sqlite3_column_text(r, 0));
    }));
    if (problem != "ok")
      return fail("{}: the cost database is damaged ({}); delete it to measure again",
                  path.string(), problem);
    return {};
  }

  Status put(const CostKey& k, const Measurement& m) const {
    return query(
        "INSERT OR REPLACE INTO costs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [](sqlite3_stmt*) {}, environment.host, environment.versions, k.device_kind, k.threads,
        k.busy, k.problem, k.step, k.candidate, m.median.value, m.spread.value, m.repeats);
  }
};

namespace {

Measurement measurement_at(sqlite3_stmt* row, int column) {
  return {Nanoseconds(sqlite3_column_int64(row, column)),
          Nanoseconds(sqlite3_column_int64(row, column + 1)), sqlite3_column_int(row, column + 2)};
}
std::string text_at(sqlite3_stmt* row, int column) {
  return {reinterpret_cast<const char*>(sqlite3_column_text(row, column)),
          static_cast<std::size_t>(sqlite3_column_bytes(row, column))};
}

std::string device_text(const DeviceKind& device, int busy) {
  return fmt::format("{} threads={} busy={}", device.name, device.threads, busy);
}

}  // namespace

CostKey cost_key(const RequiredProblem& r, int busy) {
  return {r.device_kind, r.threads, busy, r.problem.key(), r.step_name(), r.candidate};
}

std::string sqlite_version() { return sqlite3_libversion(); }

CurveKey CurveKey::copy(const DeviceKind& device, int busy) {
  return {"copy " + device_text(device, busy)};
}
CurveKey CurveKey::update(const DeviceKind& device, int busy, int state_tensors, DType dtype) {
  return {fmt::format("update {} states={} {}", device_text(device, busy), state_tensors,
                      name_of(dtype))};
}
CurveKey CurveKey::update_rows(const DeviceKind& device, int busy, std::int64_t features,
                               int state_tensors, DType dtype) {
  return {fmt::format("update-rows {} features={} states={} {}", device_text(device, busy),
                      features, state_tensors, name_of(dtype))};
}
CurveKey CurveKey::message(const std::string& cluster, const std::string& link, int sharing) {
  return {fmt::format("message {} {} sharing={}", cluster, link, sharing)};
}

std::string link_kind(const Cluster& cluster, DeviceId src, DeviceId dst) {
  if (!cluster.same_node(src, dst)) return "network";
  std::uint32_t node = cluster.device(src).node;
  for (const NodeSpec& spec : cluster.spec().node) {
    if (node < static_cast<std::uint32_t>(spec.count))
      return spec.interconnect ? std::string(name_of(spec.interconnect->kind)) : "none";
    node -= static_cast<std::uint32_t>(spec.count);
  }
  SOAPSTONE_ASSERT(false, "device {} is in no node", src.value);
}

CostDatabase::CostDatabase(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CostDatabase::~CostDatabase() = default;
CostDatabase::CostDatabase(CostDatabase&&) noexcept = default;
CostDatabase& CostDatabase::operator=(CostDatabase&&) noexcept = default;

Result<CostDatabase> CostDatabase::open(const std::filesystem::path& path,
                                        Environment environment) {
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  impl->environment = std::move(environment);
  sqlite3* raw = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  impl->db.reset(raw);
  if (code != SQLITE_OK)
    return fail("{}: cannot open the cost database: {}", path.string(),
                raw ? sqlite3_errmsg(raw) : "out of memory");
  SOAPSTONE_TRY(impl->prepare());
  return CostDatabase(std::move(impl));
}

const Environment& CostDatabase::environment() const { return impl_->environment; }

Status CostDatabase::put(const CostKey& key, const Measurement& m) { return impl_->put(key, m); }

Status CostDatabase::put(std::span<const std::pair<CostKey, Measurement>> entries) {
  return impl_->transaction([&]() -> Status {
    for (const auto& [key, m] : entries)
      if (Status status = impl_->put(key, m); !status) return status;
    return {};
  });
}

Status CostDatabase::put(const CurveKey& key, std::int64_t size, const Measurement& m) {
  const Environment& e = impl_->environment;
  return impl_->query(
      "INSERT OR REPLACE INTO curves VALUES (?, ?, ?, ?, ?, ?, ?)", [](sqlite3_stmt*) {}, e.host,
      e.versions, key.text, size, m.median.value, m.spread.value, m.repeats);
}

Result<std::optional<Measurement>> CostDatabase::get(const CostKey& k) const {
  const Environment& e = impl_->environment;
  std::optional<Measurement> found;
  SOAPSTONE_TRY(impl_->query(
      "SELECT median_ns, spread_ns, repeats FROM costs WHERE host = ? AND versions = ? AND "
      "device_kind = ? AND threads = ? "
      "AND busy = ? AND problem = ? AND step = ? AND candidate = ?",
      [&](sqlite3_stmt* row) { found = measurement_at(row, 0); }, e.host, e.versions, k.device_kind,
      k.threads, k.busy, k.problem, k.step, k.candidate));
  return found;
}

Result<Curve> CostDatabase::get(const CurveKey& key) const {
  const Environment& e = impl_->environment;
  Curve curve;
  SOAPSTONE_TRY(impl_->query(
      "SELECT size, median_ns, spread_ns, repeats FROM curves WHERE host = ? AND versions = ? AND "
      "curve = ?",
      [&](sqlite3_stmt* row) {
        curve.emplace(sqlite3_column_int64(row, 0), measurement_at(row, 1));
      },
      e.host, e.versions, key.text));
  return curve;
}

Result<std::map<CostKey, Measurement>> CostDatabase::costs() const {
  const Environment& e = impl_->environment;
  std::map<CostKey, Measurement> all;
  SOAPSTONE_TRY(impl_->query(
      "SELECT device_kind, threads, busy, problem, step, candidate, median_ns, spread_ns, repeats "
      "FROM costs WHERE host = ? AND versions = ?",
      [&](sqlite3_stmt* row) {
        all.emplace(CostKey{text_at(row, 0), sqlite3_column_int(row, 1), sqlite3_column_int(row, 2),
                            text_at(row, 3), text_at(row, 4), text_at(row, 5)},
                    measurement_at(row, 6));
      },
      e.host, e.versions));
  return all;
}

Result<std::map<CurveKey, Curve>> CostDatabase::curves() const {
  const Environment& e = impl_->environment;
  std::map<CurveKey, Curve> all;
  SOAPSTONE_TRY(impl_->query(
      "SELECT curve, size, median_ns, spread_ns, repeats FROM curves WHERE host = ? AND versions = "
      "?",
      [&](sqlite3_stmt* row) {
        all[CurveKey{text_at(row, 0)}].emplace(sqlite3_column_int64(row, 1),
                                               measurement_at(row, 2));
      },
      e.host, e.versions));
  return all;
}

Result<std::vector<RequiredProblem>> CostDatabase::missing(
    std::span<const RequiredProblem> required, int busy) const {
  std::vector<RequiredProblem> out;
  for (const RequiredProblem& r : required) {
    SOAPSTONE_ASSIGN(const std::optional<Measurement> found, get(cost_key(r, busy)));
    if (!found) out.push_back(r);
  }
  return out;
}

Result<CostDatabase::Statistics> CostDatabase::statistics() const {
  const Environment& e = impl_->environment;
  Statistics out;
  std::vector<double> spreads;
  SOAPSTONE_TRY(impl_->query(
      "SELECT median_ns, spread_ns, repeats FROM costs WHERE host = ? AND versions = ?",
      [&](sqlite3_stmt* row) {
        const Measurement m = measurement_at(row, 0);
        ++out.costs;
        if (m.median.value > 0)
          spreads.push_back(static_cast<double>(m.spread.value) /
                            static_cast<double>(m.median.value));
      },
      e.host, e.versions));
  const auto count = [](std::int64_t& into) {
    return [&into](sqlite3_stmt* row) { into += sqlite3_column_int64(row, 0); };
  };
  SOAPSTONE_TRY(impl_->query("SELECT count(*) FROM curves WHERE host = ? AND versions = ?",
                             count(out.curve_points), e.host, e.versions));
  SOAPSTONE_TRY(impl_->query("SELECT count(*) FROM costs WHERE host <> ? OR versions <> ?",
                             count(out.stale), e.host, e.versions));
  SOAPSTONE_TRY(impl_->query("SELECT count(*) FROM curves WHERE host <> ? OR versions <> ?",
                             count(out.stale), e.host, e.versions));
  std::sort(spreads.begin(), spreads.end());
  if (!spreads.empty()) out.median_spread = spreads[spreads.size() / 2];
  return out;
}

}  // namespace soapstone::simulator
