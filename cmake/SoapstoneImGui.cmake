# soapstone_find_imgui(): sources of Dear ImGui with docking, ImPlot, the test engine and fonts: the
# user's own (ImGuiBundle_ROOT: a folder with imgui/, implot/, imgui_test_engine/ and fonts/), then
# those that scripts/setup.sh put into the user's cache folder.
#
# Sets in the caller: soapstone_imgui_dir (empty: none), soapstone_imgui_version, and
#   soapstone_imgui_kind  yours or cache
macro(soapstone_find_imgui)
  set(soapstone_imgui_dir "")
  set(soapstone_imgui_kind yours)
  set(_soapstone_imgui_folders "${ImGuiBundle_ROOT}" "$ENV{ImGuiBundle_ROOT}")
  if(NOT ImGuiBundle_ROOT AND "$ENV{ImGuiBundle_ROOT}" STREQUAL "")
    set(soapstone_imgui_kind cache)
    set(_soapstone_imgui_cache "$ENV{HOME}/.cache")
    if(NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
      set(_soapstone_imgui_cache "$ENV{XDG_CACHE_HOME}")
    endif()
    file(GLOB _soapstone_imgui_folders "${_soapstone_imgui_cache}/soapstone/imgui-*")
    list(SORT _soapstone_imgui_folders COMPARE NATURAL ORDER DESCENDING)
  endif()
  foreach(_soapstone_folder ${_soapstone_imgui_folders})
    if(NOT soapstone_imgui_dir AND EXISTS "${_soapstone_folder}/imgui/imgui.h")
      set(soapstone_imgui_dir "${_soapstone_folder}")
    endif()
  endforeach()
  if(soapstone_imgui_dir)
    file(STRINGS "${soapstone_imgui_dir}/imgui/imgui.h" _soapstone_line REGEX "define IMGUI_VERSION ")
    string(REGEX REPLACE ".*\"([^\"]+)\".*" "\\1" soapstone_imgui_version "${_soapstone_line}")
  endif()
endmacro()

# soapstone_add_imgui(TARGET [TEST_ENGINE]): Dear ImGui, its backends for GLFW and OpenGL 3, and
# ImPlot, as a static library; with the hooks of the test engine and the engine itself for tests
# only (its licence is not Dear ImGui's; free for open-source work).
function(soapstone_add_imgui target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "TEST_ENGINE" "" "")
  set(imgui "${soapstone_imgui_dir}/imgui")
  set(implot "${soapstone_imgui_dir}/implot")
  set(engine "${soapstone_imgui_dir}/imgui_test_engine")
  set(sources
    ${imgui}/imgui.cpp ${imgui}/imgui_draw.cpp ${imgui}/imgui_tables.cpp ${imgui}/imgui_widgets.cpp
    ${imgui}/imgui_stacklayout.cpp ${imgui}/misc/cpp/imgui_stdlib.cpp
    ${imgui}/backends/imgui_impl_glfw.cpp ${imgui}/backends/imgui_impl_opengl3.cpp
    ${implot}/implot.cpp ${implot}/implot_items.cpp)
  if(arg_TEST_ENGINE)
    set(inner "${engine}/imgui_test_engine")
    list(APPEND sources
      ${inner}/imgui_capture_tool.cpp ${inner}/imgui_te_context.cpp ${inner}/imgui_te_coroutine.cpp
      ${inner}/imgui_te_engine.cpp ${inner}/imgui_te_exporters.cpp ${inner}/imgui_te_perftool.cpp
      ${inner}/imgui_te_ui.cpp ${inner}/imgui_te_utils.cpp)
  endif()
  add_library(${target} STATIC ${sources})
  target_include_directories(${target} SYSTEM PUBLIC
    "${imgui}" "${imgui}/backends" "${imgui}/misc/cpp" "${implot}")
  # Items of a model with many operators: indices of more than 16 bits, set for all users alike.
  target_compile_definitions(${target} PUBLIC "ImDrawIdx=unsigned int" IMGUI_DISABLE_OBSOLETE_FUNCTIONS)
  target_link_libraries(${target} PUBLIC glfw OpenGL::GL)
  if(arg_TEST_ENGINE)
    target_include_directories(${target} SYSTEM PUBLIC "${engine}" "${engine}/imgui_test_engine")
    target_compile_definitions(${target} PUBLIC
      IMGUI_ENABLE_TEST_ENGINE IMGUI_TEST_ENGINE_ENABLE_COROUTINE_STDTHREAD_IMPL=1
      IMGUI_TEST_ENGINE_ENABLE_CAPTURE=0 IMGUI_TEST_ENGINE_ENABLE_STD_FUNCTION=1)
    target_link_libraries(${target} PUBLIC Threads::Threads)
  endif()
  set_target_properties(${target} PROPERTIES CXX_CLANG_TIDY "")
  # Sanitizers look at what is ours: GCC takes ten minutes over implot_items.cpp with them.
  target_compile_options(${target} PRIVATE -w -fno-sanitize=all)
endfunction()
