# Installs the rooms as a package: find_package(soapstone CONFIG) gives soapstone::core and so on.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

get_property(_soapstone_rooms GLOBAL PROPERTY SOAPSTONE_ROOMS)
list(TRANSFORM _soapstone_rooms PREPEND soapstone_ OUTPUT_VARIABLE _soapstone_installed)
foreach(_soapstone_library soapstone_random123 soapstone_graphviz)
  if(TARGET ${_soapstone_library})
    list(APPEND _soapstone_installed ${_soapstone_library})
  endif()
endforeach()
install(TARGETS ${_soapstone_installed} EXPORT soapstone-targets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET soapstone_cli)
  install(TARGETS soapstone_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
foreach(_soapstone_room ${_soapstone_rooms})
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/${_soapstone_room}" DESTINATION include/soapstone
    FILES_MATCHING PATTERN "*.hpp" PATTERN "*.def")
endforeach()

set(_soapstone_config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/soapstone)
install(EXPORT soapstone-targets NAMESPACE soapstone:: DESTINATION ${_soapstone_config_dir})
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/soapstone-config.cmake.in"
  "${PROJECT_BINARY_DIR}/soapstone-config.cmake" INSTALL_DESTINATION ${_soapstone_config_dir})
write_basic_package_version_file("${PROJECT_BINARY_DIR}/soapstone-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/soapstone-config.cmake"
  "${PROJECT_BINARY_DIR}/soapstone-config-version.cmake" DESTINATION ${_soapstone_config_dir})
