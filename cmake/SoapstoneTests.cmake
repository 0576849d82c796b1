# How tests are declared. Included by the top-level list when tests are enabled.
include(GoogleTest)

# Environment of every test. Two OpenMP threads everywhere, so that a test does the same on a
# laptop and on a large machine; Kokkos warns unless told about binding; Open MPI refuses root.
set(soapstone_test_environment
  OMP_NUM_THREADS=2
  OMP_PROC_BIND=false
  OMP_WAIT_POLICY=passive
  OMPI_ALLOW_RUN_AS_ROOT=1
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  OMPI_MCA_rmaps_base_oversubscribe=1
  OMPI_MCA_mpi_yield_when_idle=1
  OMPI_MCA_btl_vader_single_copy_mechanism=none)

# soapstone_add_test(name SOURCES ... DEPS ... [RANKS n] [PROCESSORS n] [SERIAL] [TIMEOUT s])
#
# An executable of GoogleTest cases, named <room>_<what>_tests or <room>_tests: the first word is its
# ctest label. Each case is one ctest entry.
#   RANKS n       run under mpiexec with n ranks: one entry for the whole executable, nothing beside it
#   PROCESSORS n  cores a case keeps busy (default 1)
#   SERIAL        nothing runs beside it: for tests that measure time
#   TIMEOUT s     per entry (default 120)
function(soapstone_add_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL" "RANKS;PROCESSORS;TIMEOUT" "SOURCES;DEPS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "soapstone_add_test(${name}): unknown ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  if(NOT arg_PROCESSORS)
    set(arg_PROCESSORS 1)
  endif()
  string(REGEX MATCH "^[a-z0-9]+" label "${name}")

  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE
    ${arg_DEPS} soapstone_test_main GTest::gmock GTest::gtest rapidcheck rapidcheck_gtest)
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  soapstone_compile_options(${name} QUICK_TO_BUILD)

  set(properties LABELS ${label} PROCESSORS ${arg_PROCESSORS} TIMEOUT ${arg_TIMEOUT})
  if(arg_SERIAL OR arg_RANKS)
    list(APPEND properties RUN_SERIAL TRUE)
  endif()
  if(arg_RANKS)
    add_test(NAME "${name} on ${arg_RANKS} ranks"
      COMMAND ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${arg_RANKS} ${MPIEXEC_PREFLAGS}
        $<TARGET_FILE:${name}> ${MPIEXEC_POSTFLAGS})
    set_tests_properties("${name} on ${arg_RANKS} ranks" PROPERTIES
      ${properties} ENVIRONMENT "${soapstone_test_environment}"
      SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]")
    return()
  endif()

  # Cases are listed when ctest starts, not while building: no test binary runs during a build.
  gtest_discover_tests(${name}
    NO_PRETTY_VALUES
    DISCOVERY_MODE PRE_TEST
    DISCOVERY_TIMEOUT 60
    TEST_PREFIX "${label}: "
    TEST_LIST ${name}_cases
    PROPERTIES ${properties})
  # A list-valued property does not survive gtest_discover_tests, hence a second include file.
  set(include_file "${CMAKE_CURRENT_BINARY_DIR}/${name}_environment.cmake")
  file(WRITE "${include_file}"
    "set_tests_properties(\${${name}_cases} PROPERTIES ENVIRONMENT \"${soapstone_test_environment}\")\n")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${include_file}")
endfunction()
