# Finds Graphviz's libraries: Graphviz::gvc, Graphviz::cgraph. Graphviz has no package of its own
# for CMake. Installed beside Soapstone's package, which looks for it again.
find_path(Graphviz_INCLUDE_DIR graphviz/gvc.h)
find_library(Graphviz_GVC_LIBRARY gvc)
find_library(Graphviz_CGRAPH_LIBRARY cgraph)
mark_as_advanced(Graphviz_INCLUDE_DIR Graphviz_GVC_LIBRARY Graphviz_CGRAPH_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Graphviz
  REQUIRED_VARS Graphviz_GVC_LIBRARY Graphviz_CGRAPH_LIBRARY Graphviz_INCLUDE_DIR)

if(Graphviz_FOUND)
  foreach(_graphviz_library GVC CGRAPH)
    string(TOLOWER "${_graphviz_library}" _graphviz_name)
    if(NOT TARGET Graphviz::${_graphviz_name})
      add_library(Graphviz::${_graphviz_name} UNKNOWN IMPORTED)
      set_target_properties(Graphviz::${_graphviz_name} PROPERTIES
        IMPORTED_LOCATION "${Graphviz_${_graphviz_library}_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${Graphviz_INCLUDE_DIR}")
    endif()
  endforeach()
endif()
