#include "runtime/data/mo.hpp"

#include <cstdint>

namespace soapstone::runtime {

core::Result<std::vector<Message>> read_mo(std::string_view bytes, const std::string& name) {
  constexpr std::size_t kHeader = 20;
  if (bytes.size() < kHeader)
    return core::usage_error("{}: {} bytes; a catalogue of messages (*.mo) has at least {}", name,
                             bytes.size(), kHeader);
  const auto byte = [&](std::size_t at) {
    return std::uint32_t{static_cast<unsigned char>(bytes[at])};
  };
  const bool little = byte(0) == 0xde && byte(1) == 0x12 && byte(2) == 0x04 && byte(3) == 0x95;
  const bool big = byte(0) == 0x95 && byte(1) == 0x04 && byte(2) == 0x12 && byte(3) == 0xde;
  if (!little && !big)
    return core::usage_error(
        "{}: at offset 0: expected de 12 04 95 or 95 04 12 de (a catalogue of messages, *.mo), "
        "found {:02x} {:02x} {:02x} {:02x}",
        name, byte(0), byte(1), byte(2), byte(3));
  const auto number = [&](std::size_t at) {
    return little ? byte(at) | byte(at + 1) << 8 | byte(at + 2) << 16 | byte(at + 3) << 24
                  : byte(at) << 24 | byte(at + 1) << 16 | byte(at + 2) << 8 | byte(at + 3);
  };
  if (const std::uint32_t revision = number(4); revision >> 16 > 1)
    return core::usage_error("{}: at offset 4: revision {}; accepted: major numbers 0 and 1", name,
                             revision >> 16);
  const std::size_t count = number(8);
  const auto string_at = [&](std::size_t table, std::size_t k) -> core::Result<std::string_view> {
    const std::size_t entry = number(table) + 8 * k;
    if (entry + 8 > bytes.size())
      return core::fail("{}: at offset {}: expected message {} of {}, found the end of the file",
                        name, entry, k + 1, count);
    const std::size_t length = number(entry), offset = number(entry + 4);
    if (offset + length >= bytes.size() || bytes[offset + length] != '\0')
      return core::fail(
          "{}: at offset {}: a string of {} bytes at offset {} does not end there with a byte 0 "
          "within the {} bytes of the file",
          name, entry, length, offset, bytes.size());
    return bytes.substr(offset, length);
  };
  std::vector<Message> messages;
  for (std::size_t k = 0; k < count; ++k) {
    SOAPSTONE_ASSIGN(std::string_view id, string_at(12, k));
    SOAPSTONE_ASSIGN(std::string_view text, string_at(16, k));
    if (id.empty()) {
      constexpr std::string_view kCharset = "charset=";
      const std::size_t at = text.find(kCharset);
      const std::string_view charset =
          at == std::string_view::npos ? "" : text.substr(at + kCharset.size(), 5);
      if (charset != "UTF-8" && charset != "utf-8")
        return core::usage_error("{}: the header has charset `{}`; accepted: UTF-8", name, charset);
      continue;
    }
    Message m;
    if (const std::size_t end = id.find('\4'); end != std::string_view::npos) {
      m.context = id.substr(0, end);
      id.remove_prefix(end + 1);
    }
    if (const std::size_t end = id.find('\0'); end != std::string_view::npos) {
      m.plural = id.substr(end + 1);
      id = id.substr(0, end);
    }
    m.id = id;
    for (;;) {
      const std::size_t end = text.find('\0');
      m.text.emplace_back(text.substr(0, end));
      if (end == std::string_view::npos) break;
      text.remove_prefix(end + 1);
    }
    messages.push_back(std::move(m));
  }
  return messages;
}

}  // namespace soapstone::runtime
