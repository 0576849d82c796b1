# core/version.hpp, generated at configure time under <build>/generated. Only the targets that call
# soapstone_use_version_header() can see it, and one .cpp should include it: a commit then costs
# one recompilation.
function(_soapstone_describe out)
  set(${out} "${PROJECT_VERSION}" PARENT_SCOPE)
  find_package(Git QUIET)
  if(NOT Git_FOUND)
    return()
  endif()
  set(git "${GIT_EXECUTABLE}" -C "${PROJECT_SOURCE_DIR}")
  execute_process(COMMAND ${git} rev-parse --show-toplevel --git-path logs/HEAD
    RESULT_VARIABLE failed OUTPUT_VARIABLE paths OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(failed)
    return()
  endif()
  string(REPLACE "\n" ";" paths "${paths}")
  list(GET paths 0 top)
  list(GET paths 1 log)
  file(REAL_PATH "${PROJECT_SOURCE_DIR}" here)
  if(NOT top STREQUAL here)  # sources unpacked inside somebody else's repository
    return()
  endif()
  cmake_path(ABSOLUTE_PATH log BASE_DIRECTORY "${PROJECT_SOURCE_DIR}")
  if(EXISTS "${log}")  # grows at every commit and checkout
    set_property(DIRECTORY "${PROJECT_SOURCE_DIR}" APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${log}")
  endif()
  execute_process(COMMAND ${git} describe --tags --match "v[0-9]*"
    RESULT_VARIABLE untagged OUTPUT_VARIABLE described OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(NOT untagged)
    string(REGEX REPLACE "^v" "" described "${described}")
    set(${out} "${described}" PARENT_SCOPE)
    return()
  endif()
  execute_process(COMMAND ${git} rev-parse --short=10 HEAD
    RESULT_VARIABLE unborn OUTPUT_VARIABLE hash OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(NOT unborn)
    set(${out} "${PROJECT_VERSION}+g${hash}" PARENT_SCOPE)
  endif()
endfunction()

_soapstone_describe(_soapstone_version)
configure_file("${PROJECT_SOURCE_DIR}/cmake/version.hpp.in"
  "${PROJECT_BINARY_DIR}/generated/core/version.hpp" @ONLY)

function(soapstone_use_version_header target)
  target_include_directories(${target} PRIVATE "${PROJECT_BINARY_DIR}/generated")
endfunction()
