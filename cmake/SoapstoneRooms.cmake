set_property(GLOBAL PROPERTY SOAPSTONE_ROOMS "")

# soapstone_add_library(room SOURCES ... PUBLIC_DEPS ... PRIVATE_DEPS ... [FUSE_MULTIPLY_ADD])
#
# Makes soapstone_<room> and soapstone::<room>. Everything is included from the repository's root:
# #include "core/graph.hpp". A room inside another is named by its path, its target with `_` for `/`.
# A room without sources yet is an empty interface library.
function(soapstone_add_library room)
  cmake_parse_arguments(PARSE_ARGV 1 arg "FUSE_MULTIPLY_ADD" "" "SOURCES;PUBLIC_DEPS;PRIVATE_DEPS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "soapstone_add_library(${room}): unknown ${arg_UNPARSED_ARGUMENTS}")
  endif()
  string(REPLACE "/" "_" name "${room}")
  set(target soapstone_${name})
  if(arg_SOURCES)
    add_library(${target} STATIC ${arg_SOURCES})
    target_link_libraries(${target} PUBLIC ${arg_PUBLIC_DEPS} PRIVATE ${arg_PRIVATE_DEPS})
    set(fuse)
    if(arg_FUSE_MULTIPLY_ADD)
      set(fuse FUSE_MULTIPLY_ADD)
    endif()
    soapstone_compile_options(${target} ${fuse})
    set(scope PUBLIC)
  else()
    message(STATUS "${room}: no sources yet")
    add_library(${target} INTERFACE)
    target_link_libraries(${target} INTERFACE ${arg_PUBLIC_DEPS})
    set(scope INTERFACE)
  endif()
  target_include_directories(${target} ${scope}
    "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>" "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/soapstone>")
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  add_library(soapstone::${name} ALIAS ${target})
  set_property(GLOBAL APPEND PROPERTY SOAPSTONE_ROOMS ${room})
endfunction()

# soapstone_read_ops(OUT_VAR): the operators' snake_case names, in the order of core/ops/all.def,
# whose lines read SOAPSTONE_OP(Linear, linear). Editing that file configures anew.
function(soapstone_read_ops out)
  set(list_file "${PROJECT_SOURCE_DIR}/core/ops/all.def")
  set_property(DIRECTORY "${PROJECT_SOURCE_DIR}" APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${list_file}")
  file(STRINGS "${list_file}" lines REGEX "^[ \t]*SOAPSTONE_OP[ \t]*\\(")
  set(ops)
  foreach(line ${lines})
    if(NOT line MATCHES "^[ \t]*SOAPSTONE_OP[ \t]*\\([ \t]*([A-Z][A-Za-z0-9]*)[ \t]*,[ \t]*([a-z][a-z0-9_]*)[ \t]*\\)")
      message(FATAL_ERROR "${list_file}: cannot read '${line}'; expected SOAPSTONE_OP(Linear, linear)")
    endif()
    list(APPEND ops ${CMAKE_MATCH_2})
  endforeach()
  set(${out} ${ops} PARENT_SCOPE)
endfunction()

# soapstone_write_op_includes(): core/ops/all.hpp under <build>/generated, which includes every
# operator's header, in the order of core/ops/all.def.
function(soapstone_write_op_includes)
  soapstone_read_ops(ops)
  list(TRANSFORM ops REPLACE "(.+)" "#include \"core/ops/\\1.hpp\"\n")
  list(JOIN ops "" includes)
  file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/generated/core/ops/all.hpp"
    CONTENT "// Generated from core/ops/all.def.\n#pragma once\n\n${includes}")
endfunction()
