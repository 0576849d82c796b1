# Installs the rooms as a package: find_package(soapstone CONFIG) gives soapstone::core and so on;
# and the program with its manual page, completions, samples and documents.
#
# Nothing is built: what is installed must have been (`cmake --build` first).
include(CMakePackageConfigHelpers)

# --- libraries and headers ------------------------------------------------------------------------
get_property(_soapstone_rooms GLOBAL PROPERTY SOAPSTONE_ROOMS)
list(TRANSFORM _soapstone_rooms PREPEND soapstone_ OUTPUT_VARIABLE _soapstone_installed)
list(TRANSFORM _soapstone_installed REPLACE "/" "_")
if(TARGET soapstone_random123)
  list(APPEND _soapstone_installed soapstone_random123)
endif()
install(TARGETS ${_soapstone_installed} EXPORT soapstone-targets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
foreach(_soapstone_room ${_soapstone_rooms})
  cmake_path(GET _soapstone_room PARENT_PATH _soapstone_house)
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/${_soapstone_room}"
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/soapstone/${_soapstone_house}
    FILES_MATCHING PATTERN "*.hpp" PATTERN "*.def")
endforeach()
# core/version.hpp, core/ops/all.hpp
install(DIRECTORY "${PROJECT_BINARY_DIR}/generated/"
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/soapstone FILES_MATCHING PATTERN "*.hpp")

# The modules that the package finds its dependencies with lie beside it.
set(_soapstone_config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/soapstone)
install(EXPORT soapstone-targets NAMESPACE soapstone:: DESTINATION ${_soapstone_config_dir})
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/soapstone-config.cmake.in"
  "${PROJECT_BINARY_DIR}/soapstone-config.cmake" INSTALL_DESTINATION ${_soapstone_config_dir})
write_basic_package_version_file("${PROJECT_BINARY_DIR}/soapstone-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/soapstone-config.cmake"
  "${PROJECT_BINARY_DIR}/soapstone-config-version.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/FindGraphviz.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/SoapstoneKokkos.cmake"
  DESTINATION ${_soapstone_config_dir})

# --- documents ------------------------------------------------------------------------------------
install(DIRECTORY "${PROJECT_SOURCE_DIR}/samples" DESTINATION ${CMAKE_INSTALL_DATADIR}/soapstone
  USE_SOURCE_PERMISSIONS)
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" "${PROJECT_SOURCE_DIR}/README.md"
  "${PROJECT_SOURCE_DIR}/CONTRIBUTING.md" DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY "${PROJECT_SOURCE_DIR}/docs" DESTINATION ${CMAKE_INSTALL_DOCDIR})

# --- the program ----------------------------------------------------------------------------------
if(NOT TARGET soapstone_cli)
  return()
endif()
# It still finds the libraries that it was linked to outside of the system's folders.
set_target_properties(soapstone_cli PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
install(TARGETS soapstone_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
# What the program says about itself.
foreach(_soapstone_told
    "man|${CMAKE_INSTALL_MANDIR}/man1/soapstone.1"
    "completion bash|${CMAKE_INSTALL_DATADIR}/bash-completion/completions/soapstone"
    "completion zsh|${CMAKE_INSTALL_DATADIR}/zsh/site-functions/_soapstone"
    "completion fish|${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d/soapstone.fish")
  string(REPLACE "|" ";" _soapstone_told "${_soapstone_told}")
  list(GET _soapstone_told 0 _soapstone_arguments)
  list(GET _soapstone_told 1 _soapstone_file)
  cmake_path(GET _soapstone_file PARENT_PATH _soapstone_folder)
  string(REPLACE " " ";" _soapstone_arguments "${_soapstone_arguments}")
  set(_soapstone_made "${PROJECT_BINARY_DIR}/installed/${_soapstone_file}")
  install(CODE "
    file(MAKE_DIRECTORY \"${PROJECT_BINARY_DIR}/installed/${_soapstone_folder}\")
    execute_process(COMMAND \"$<TARGET_FILE:soapstone_cli>\" ${_soapstone_arguments}
      OUTPUT_FILE \"${_soapstone_made}\" COMMAND_ERROR_IS_FATAL ANY)")
  install(FILES "${_soapstone_made}" DESTINATION "${_soapstone_folder}")
endforeach()
