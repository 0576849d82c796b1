// Catalogues of translated messages, as GNU gettext compiles them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"

namespace soapstone::runtime {

struct Message {
  std::string context;
  std::string id;                 // the message in the program's language
  std::string plural;             // empty: it has none
  std::vector<std::string> text;  // the translation; with a plural, one per form

  friend bool operator==(const Message&, const Message&) = default;
};

// `bytes` of the file `name`, without the header, which is the translation of the empty message.
// Format: the magic number 0x950412de in the byte order of the file, its revision (major number 0
// or 1), the number of messages, the offsets of two tables with length and offset of every string;
// each ends with a byte 0. A context ends with byte 4, plural forms are parted by byte 0. UTF-8
// alone is accepted. Errors name file and offset. Source: the manual of GNU gettext, "The Format of
// GNU MO Files".
core::Result<std::vector<Message>> read_mo(std::string_view bytes, const std::string& name);

}  // namespace soapstone::runtime
