# Helpers that register tests, benches, fuzzers and examples. Each takes an explicit list of sources.
if(COHORT_BUILD_TESTS OR COHORT_BUILD_BENCHES OR COHORT_BUILD_FUZZERS)
  enable_testing()
endif()
if(COHORT_BUILD_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()

# The real Node binaries of the interop tests, and what Node programs use: node_modules/ of tests/interop/frameworks,
# and next_app/, built. `scripts/setup test` puts them there.
set(COHORT_NODE20 ${PROJECT_SOURCE_DIR}/.peers/node20/bin/node CACHE FILEPATH "Node.js 20")
set(COHORT_NODE26 ${PROJECT_SOURCE_DIR}/.peers/node26/bin/node CACHE FILEPATH "Node.js 26")
set(COHORT_FRAMEWORKS ${PROJECT_SOURCE_DIR}/.peers/frameworks CACHE PATH "Express, Next.js...")

# Seconds that one test may take; sanitizers make everything several times slower.
set(COHORT_TEST_TIMEOUT 180)
if(COHORT_SANITIZE)
  set(COHORT_TEST_TIMEOUT 360)
endif()

# Tests are read more often than they run.
if(CMAKE_CXX_CLANG_TIDY)
  set(COHORT_TEST_TIDY ${CMAKE_CXX_CLANG_TIDY} --checks=-performance-*)
endif()

# cohort_discover_tests(program label): a GoogleTest program that runs by itself, each case a test. With sanitizers it is one
# test: to start such a program takes a third of a second, and what most cases do next to nothing.
function(cohort_discover_tests program label)
  set(properties TIMEOUT ${COHORT_TEST_TIMEOUT} LABELS ${label})
  if(COHORT_SANITIZE)
    add_test(NAME ${label}.${program} COMMAND ${program} --gtest_brief=1)
    set_tests_properties(${label}.${program} PROPERTIES ${properties} COST 500)  # first: they take longest
  else()
    gtest_discover_tests(${program} NO_PRETTY_VALUES PROPERTIES ${properties} DISCOVERY_TIMEOUT 60)
  endif()
endfunction()

# cohort_unit_test(room a_test.cc b_test.cc ...): one GoogleTest program per room, ROOM_test.
function(cohort_unit_test room)
  if(NOT COHORT_BUILD_TESTS)
    return()
  endif()
  add_executable(${room}_test ${ARGN})
  target_include_directories(${room}_test PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${room}_test PRIVATE cohort cohort_options GTest::gtest_main)
  if(COHORT_SANITIZE)
    target_compile_options(${room}_test PRIVATE -O0)  # Half the time to compile; they run for seconds.
  endif()
  set_target_properties(${room}_test PROPERTIES CXX_CLANG_TIDY "${COHORT_TEST_TIDY}")
  cohort_discover_tests(${room}_test unit)
endfunction()

# What holds nothing of cohort has nothing for the sanitizers to find. It is compiled as without them, to the last
# option: ccache has it from the build of `make test`.
function(cohort_without_sanitizers name)
  if(COHORT_SANITIZE)
    set_target_properties(${name} PROPERTIES COMPILE_OPTIONS "${COHORT_PLAIN_OPTIONS}" COHORT_PLAIN TRUE)
    target_link_options(${name} PRIVATE -fno-sanitize=all)
  endif()
endfunction()

# cohort_integration_test(name [SERIAL] [WITH_COHORT] [LABEL label] [LOCK what] a_test.cc ...): a GoogleTest
# program that starts whole programs with tests/harness. SERIAL: no other test runs beside it (timing). LOCK: no other
# that has the same lock (fixed ports). WITH_COHORT: it uses the library itself.
function(cohort_integration_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL;WITH_COHORT" "LABEL;LOCK" "")
  if(NOT arg_LABEL)
    set(arg_LABEL integration)
  endif()
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE cohort_harness cohort_options GTest::gtest_main)
  if(arg_WITH_COHORT)
    target_link_libraries(${name} PRIVATE cohort::cohort)
  else()
    cohort_without_sanitizers(${name})
  endif()
  target_compile_options(${name} PRIVATE -g0)  # A quarter of the time to compile; nobody debugs these, but what they start.
  set(properties TIMEOUT ${COHORT_TEST_TIMEOUT} LABELS ${arg_LABEL})
  if(arg_SERIAL)
    list(APPEND properties RUN_SERIAL TRUE)
  endif()
  if(arg_LOCK)
    list(APPEND properties RESOURCE_LOCK ${arg_LOCK})
  endif()
  gtest_discover_tests(${name} NO_PRETTY_VALUES PROPERTIES ${properties} DISCOVERY_TIMEOUT 60)
endfunction()

# cohort_bench(name a_bench.cc ...): a Google Benchmark program; the test run does the shortest run of each.
function(cohort_bench name)
  add_executable(${name} ${ARGN})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(${name} PRIVATE cohort cohort_options benchmark::benchmark_main)
  add_test(NAME bench.${name} COMMAND ${name} --benchmark_min_time=0.001)
  set_tests_properties(bench.${name} PROPERTIES TIMEOUT ${COHORT_TEST_TIMEOUT} LABELS bench)
endfunction()

# cohort_fuzzer(name [CORPUS dir] a_fuzz.cc ...): LLVMFuzzerTestOneInput with a replay main (g++) or libFuzzer
# (COHORT_LIBFUZZER, clang). The test run replays fuzz/corpus/DIR, where DIR is the name unless given.
function(cohort_fuzzer name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "CORPUS" "")
  if(NOT arg_CORPUS)
    set(arg_CORPUS ${name})
  endif()
  set(target ${name}_fuzz)
  set(corpus ${PROJECT_SOURCE_DIR}/fuzz/corpus/${arg_CORPUS})
  add_executable(${target} ${arg_UNPARSED_ARGUMENTS})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(${target} PRIVATE cohort cohort_options)
  if(COHORT_LIBFUZZER)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    add_test(NAME fuzz.${name} COMMAND ${target} -runs=0 ${corpus})
  else()
    target_sources(${target} PRIVATE ${PROJECT_SOURCE_DIR}/fuzz/replay_main.cc)
    add_test(NAME fuzz.${name} COMMAND ${target} ${corpus})
  endif()
  set_tests_properties(fuzz.${name} PROPERTIES TIMEOUT ${COHORT_TEST_TIMEOUT} LABELS fuzz)
  # scripts/fuzz reads these lines: which program, which seeds.
  set_property(GLOBAL APPEND_STRING PROPERTY COHORT_FUZZERS "${target} ${corpus}\n")
endfunction()

# cohort_example(name a.cc ...): a program that sees only the public headers, as a user's would.
function(cohort_example name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE cohort::cohort cohort_options)
  set_target_properties(${name} PROPERTIES UNITY_BUILD OFF)
endfunction()
