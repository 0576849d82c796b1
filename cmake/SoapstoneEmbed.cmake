# soapstone_embed(TARGET FUNCTION FOLDER ENDING NAME...)
#
# Adds a generated source to TARGET with soapstone::FUNCTION, which gives the names and the texts of
# FOLDER/NAME<ENDING> for every NAME, in this order, so that they are there wherever the library is.
# The header detail/FUNCTION.hpp of the target's folder declares it: `reports::detail::page_files`
# stands in reports/detail/page_files.hpp. Editing one of the files configures anew.
function(soapstone_embed target function folder ending)
  set(entries)
  foreach(name ${ARGN})
    set(file "${PROJECT_SOURCE_DIR}/${folder}/${name}${ending}")
    set_property(DIRECTORY "${PROJECT_SOURCE_DIR}"
      APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
    file(READ "${file}" text)
    if(text MATCHES "[$]<")
      message(FATAL_ERROR "${file}: holds $< , which CMake would evaluate")
    endif()
    string(APPEND entries "      {\"${name}\", R\"soapstone(${text})soapstone\"},\n")
  endforeach()
  string(REPLACE "::" "/" path "${function}")
  get_filename_component(name "${path}" NAME)
  get_filename_component(namespace "${path}" DIRECTORY)
  string(REPLACE "/" "::" namespace "${namespace}")
  set(output "${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp")
  # GENERATE writes only when the content changed.
  file(GENERATE OUTPUT "${output}" CONTENT
"// Generated from ${folder}/ by cmake/SoapstoneEmbed.cmake.
#include \"${path}.hpp\"

namespace soapstone::${namespace} {

std::span<const std::pair<std::string_view, std::string_view>> ${name}() {
  static constexpr std::pair<std::string_view, std::string_view> kFiles[] = {
${entries}  };
  return kFiles;
}

}  // namespace soapstone::${namespace}
")
  target_sources(${target} PRIVATE "${output}")
endfunction()
