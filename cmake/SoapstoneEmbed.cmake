# soapstone_embed_clusters(TARGET NAME...)
#
# Adds a generated source to TARGET that holds samples/clusters/NAME.toml for every NAME, so that
# the presets are there wherever the library is. Editing one of the files configures anew.
function(soapstone_embed_clusters target)
  set(entries)
  foreach(name ${ARGN})
    set(file "${PROJECT_SOURCE_DIR}/samples/clusters/${name}.toml")
    set_property(DIRECTORY "${PROJECT_SOURCE_DIR}"
      APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
    file(READ "${file}" text)
    string(APPEND entries "    {\"${name}\", R\"soapstone(${text})soapstone\"},\n")
  endforeach()
  set(output "${CMAKE_CURRENT_BINARY_DIR}/cluster_presets.cpp")
  # GENERATE writes only when the content changed.
  file(GENERATE OUTPUT "${output}" CONTENT
"// Generated from samples/clusters/ by cmake/SoapstoneEmbed.cmake.
#include \"core/detail/cluster_presets.hpp\"

namespace soapstone::core::detail {

std::span<const std::pair<std::string_view, std::string_view>> embedded_clusters() {
  static constexpr std::pair<std::string_view, std::string_view> kClusters[] = {
${entries}  };
  return kClusters;
}

}  // namespace soapstone::core::detail
")
  target_sources(${target} PRIVATE "${output}")
endfunction()

# soapstone_embed_page(TARGET FILE...)
#
# Adds a generated source to TARGET that holds reports/page/FILE for every FILE, in this order.
function(soapstone_embed_page target)
  set(entries)
  foreach(name ${ARGN})
    set(file "${PROJECT_SOURCE_DIR}/reports/page/${name}")
    set_property(DIRECTORY "${PROJECT_SOURCE_DIR}"
      APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
    file(READ "${file}" text)
    if(text MATCHES "[$]<")
      message(FATAL_ERROR "${file}: holds $< , which CMake would evaluate")
    endif()
    string(APPEND entries "      {\"${name}\", R\"soapstone(${text})soapstone\"},\n")
  endforeach()
  set(output "${CMAKE_CURRENT_BINARY_DIR}/page_files.cpp")
  file(GENERATE OUTPUT "${output}" CONTENT
"// Generated from reports/page/ by cmake/SoapstoneEmbed.cmake.
#include \"reports/detail/page_files.hpp\"

namespace soapstone::reports::detail {

std::span<const std::pair<std::string_view, std::string_view>> page_files() {
  static constexpr std::pair<std::string_view, std::string_view> kFiles[] = {
${entries}  };
  return kFiles;
}

}  // namespace soapstone::reports::detail
")
  target_sources(${target} PRIVATE "${output}")
endfunction()
