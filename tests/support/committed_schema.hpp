// docs/schema/ is what editors are pointed at; it is generated, and committed so that a change of a
// document's form is seen in review.
#pragma once

#include <cstdlib>
#include <ostream>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "core/file.hpp"

namespace soapstone {

struct SchemaFile {
  std::string name;
  std::string (*text)();
};
inline void PrintTo(const SchemaFile& file, std::ostream* out) { *out << file.name; }

// docs/schema/NAME.schema.json is what the document's fields say.
inline void expect_committed(const SchemaFile& file) {
  const std::string text = file.text();
  const std::string path = SOAPSTONE_SOURCE_DIR "/docs/schema/" + file.name + ".schema.json";
  const char* update = std::getenv("SOAPSTONE_UPDATE_SCHEMA");
  if (update != nullptr && std::string_view(update) == "1") {
    const core::Status written = core::write_file_atomically(path, text);
    ASSERT_TRUE(written) << written.error().message;
  }
  const auto committed = core::read_file(path);
  ASSERT_TRUE(committed) << committed.error().message << "; SOAPSTONE_UPDATE_SCHEMA=1 writes it";
  EXPECT_EQ(*committed, text) << "the form of a document changed: write it with "
                                 "SOAPSTONE_UPDATE_SCHEMA=1, and raise kVersion if old documents "
                                 "no longer read";
}

}  // namespace soapstone
