# How every target of this repository is compiled: soapstone_compile_options(target).
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release, RelWithDebInfo or MinSizeRel" FORCE)
endif()

# ccache, unless the user chose a launcher (variable or environment; CMake reads the latter itself).
if(NOT CMAKE_CXX_COMPILER_LAUNCHER AND NOT DEFINED ENV{CMAKE_CXX_COMPILER_LAUNCHER})
  find_program(CCACHE_PROGRAM ccache)
  mark_as_advanced(CCACHE_PROGRAM)
  if(CCACHE_PROGRAM)
    # The base folder lets a second clone be served from the first one's cache.
    set(CMAKE_CXX_COMPILER_LAUNCHER
      "${CMAKE_COMMAND}" -E env "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}" "${CCACHE_PROGRAM}")
  endif()
endif()

# -march=native means another thing on another machine, but compiler caches and build folders
# carried over compare only the words. The key makes a change of machine a change of flags.
set(_soapstone_native_options)
if(SOAPSTONE_NATIVE)
  include(CheckCXXCompilerFlag)
  check_cxx_compiler_flag(-march=native soapstone_has_march_native)
  if(soapstone_has_march_native)
    execute_process(
      COMMAND ${CMAKE_CXX_COMPILER} -march=native -E -v -x c++ /dev/null
      ERROR_VARIABLE _soapstone_expanded OUTPUT_QUIET)
    string(REGEX MATCHALL " (-m[^ ]+|-target-(cpu|feature) [^ ]+)" _soapstone_expanded "${_soapstone_expanded}")
    string(SHA256 _soapstone_native_key "${_soapstone_expanded}")
    string(SUBSTRING "${_soapstone_native_key}" 0 12 _soapstone_native_key)
    set(_soapstone_native_options -march=native -DSOAPSTONE_NATIVE_KEY=${_soapstone_native_key})
  endif()
endif()

set(_soapstone_warning_options
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wimplicit-fallthrough)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # False alarms of GCC 12 inside libstdc++'s std::string (GCC bug 105651).
  list(APPEND _soapstone_warning_options -Wno-restrict)
endif()
if(SOAPSTONE_WARNINGS_AS_ERRORS)
  list(APPEND _soapstone_warning_options -Werror)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # These depend on what the optimiser happened to inline: shown, never fatal.
    list(APPEND _soapstone_warning_options -Wno-error=maybe-uninitialized -Wno-error=array-bounds
      -Wno-error=stringop-overflow -Wno-error=stringop-overread)
  endif()
endif()

# __FILE__ reads core/graph.cpp everywhere. ccache rewrites absolute paths to relative ones, hence two.
set(_soapstone_path_options "-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=")
file(RELATIVE_PATH _soapstone_up "${PROJECT_BINARY_DIR}" "${PROJECT_SOURCE_DIR}")
if(_soapstone_up MATCHES "^\\.\\./")
  list(APPEND _soapstone_path_options "-fmacro-prefix-map=${_soapstone_up}=")
endif()

set(soapstone_quick_to_build "$<$<CONFIG:Release>:-O1>")

# soapstone_compile_options(target [FUSE_MULTIPLY_ADD] [QUICK_TO_BUILD])
#
# Without FUSE_MULTIPLY_ADD a*b+c rounds twice everywhere, so that the same formula inlined at two
# places gives the same bits: the incremental simulation must equal the full one. Kernels fuse.
# QUICK_TO_BUILD: a release optimises less what is short-lived while it runs but long while it is
# compiled (verbs, tests).
function(soapstone_compile_options target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "FUSE_MULTIPLY_ADD;QUICK_TO_BUILD" "" "")
  target_compile_features(${target} PUBLIC cxx_std_20)
  if(arg_FUSE_MULTIPLY_ADD)
    set(contract -ffp-contract=fast)
  else()
    set(contract -ffp-contract=off)
  endif()
  target_compile_options(${target} PRIVATE
    ${_soapstone_warning_options} ${_soapstone_native_options} ${contract}
    ${_soapstone_path_options})
  if(arg_QUICK_TO_BUILD)
    target_compile_options(${target} PRIVATE ${soapstone_quick_to_build})
  endif()
endfunction()
