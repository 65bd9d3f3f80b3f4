# Compiler options of everything in this project, and helpers for unit tests.
add_library(cohort_options INTERFACE)
target_compile_options(cohort_options INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow
  $<$<BOOL:${COHORT_WERROR}>:-Werror>)
target_compile_definitions(cohort_options INTERFACE BOOST_ASIO_DISABLE_BOOST_COROUTINE)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)

# cohort_unit_test(room a_test.cc b_test.cc ...): one GoogleTest program per room.
function(cohort_unit_test room)
  if(NOT COHORT_BUILD_TESTS)
    return()
  endif()
  add_executable(${room}_test ${ARGN})
  target_include_directories(${room}_test PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${room}_test PRIVATE cohort cohort_options GTest::gtest_main)
  gtest_discover_tests(${room}_test PROPERTIES TIMEOUT 120 DISCOVERY_TIMEOUT 60)
endfunction()
