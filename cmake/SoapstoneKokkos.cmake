# soapstone_find_kokkos(): the user's own Kokkos first (Kokkos_ROOT, Kokkos_DIR, CMAKE_PREFIX_PATH),
# then the one scripts/setup.sh built into the user's cache folder, then a system-wide one.
#
# Sets in the caller: Kokkos_FOUND, Kokkos_VERSION, Kokkos_DEVICES,
#   soapstone_kokkos_kind    yours, cache, system or none
#   soapstone_kokkos_key     what the cached build depends on: compiler, its version, machine
#   soapstone_kokkos_cache   the folder of the cached builds
macro(soapstone_find_kokkos)
  if(DEFINED ENV{XDG_CACHE_HOME} AND NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
    set(soapstone_kokkos_cache "$ENV{XDG_CACHE_HOME}/soapstone")
  else()
    set(soapstone_kokkos_cache "$ENV{HOME}/.cache/soapstone")
  endif()
  string(TOLOWER "${CMAKE_CXX_COMPILER_ID}-${CMAKE_CXX_COMPILER_VERSION}-${CMAKE_SYSTEM_PROCESSOR}"
    soapstone_kokkos_key)

  set(soapstone_kokkos_kind yours)
  find_package(Kokkos CONFIG QUIET NO_SYSTEM_ENVIRONMENT_PATH NO_CMAKE_SYSTEM_PATH)
  if(NOT Kokkos_FOUND)
    set(soapstone_kokkos_kind cache)
    file(GLOB _soapstone_cached "${soapstone_kokkos_cache}/kokkos-*-${soapstone_kokkos_key}")
    list(SORT _soapstone_cached COMPARE NATURAL ORDER DESCENDING)
    find_package(Kokkos CONFIG QUIET PATHS ${_soapstone_cached} NO_DEFAULT_PATH)
    if(NOT Kokkos_FOUND)
      set(soapstone_kokkos_kind system)
      find_package(Kokkos CONFIG QUIET)
    endif()
    # Not remembered in the cache, so that a Kokkos_ROOT given later wins.
    set(soapstone_kokkos_dir "${Kokkos_DIR}")
    unset(Kokkos_DIR CACHE)
    set(Kokkos_DIR "${soapstone_kokkos_dir}")
  endif()
  if(NOT Kokkos_FOUND)
    set(soapstone_kokkos_kind none)
  else()
    soapstone_repair_kokkos_includes()
  endif()
endmacro()

# Debian's libtrilinos-kokkos-dev names an include folder that does not exist.
function(soapstone_repair_kokkos_includes)
  foreach(target Kokkos::kokkos Kokkos::kokkoscore Kokkos::kokkoscontainers Kokkos::kokkosalgorithms)
    if(NOT TARGET ${target})
      continue()
    endif()
    get_target_property(folders ${target} INTERFACE_INCLUDE_DIRECTORIES)
    foreach(folder ${folders})
      if(IS_ABSOLUTE "${folder}" AND NOT EXISTS "${folder}")
        find_path(trilinos_include Kokkos_Core.hpp HINTS "${Kokkos_DIR}/../../../../include"
          PATH_SUFFIXES trilinos NO_CACHE REQUIRED)
        set_target_properties(${target} PROPERTIES
          INTERFACE_INCLUDE_DIRECTORIES "${trilinos_include}"
          INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${trilinos_include}")
      endif()
    endforeach()
  endforeach()
endfunction()
