# How everything in this project is compiled: warnings, sanitizers, visibility, ccache.
option(COHORT_WERROR "Warnings are errors" OFF)
option(COHORT_COVERAGE "Count the lines that the tests reach (gcov)" OFF)
option(COHORT_LIBFUZZER "Link the fuzzers with libFuzzer (clang) instead of the corpus replay" OFF)
set(COHORT_SANITIZE "" CACHE STRING "Sanitizers, as in -fsanitize=: address,undefined or thread")
set(COHORT_SANITIZED_OPTIONS "" CACHE STRING "How what they look at is compiled")

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(PROJECT_IS_TOP_LEVEL AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(COHORT_CCACHE ccache)
  mark_as_advanced(COHORT_CCACHE)
  if(COHORT_CCACHE)
    # What lies below the sources has the same name in every build folder; no source is preprocessed a second time.
    set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_DEPEND=1 ${COHORT_CCACHE})
  endif()
endif()

# No build folder in debug information, so that ccache serves all of them; sources have absolute names anyway.
set(COHORT_PLAIN_OPTIONS -fdebug-prefix-map=${CMAKE_BINARY_DIR}=.)
add_compile_options(${COHORT_PLAIN_OPTIONS})

# What a program does not use of the library is no part of it: less memory.
add_compile_options($<$<CONFIG:Release>:-ffunction-sections> $<$<CONFIG:Release>:-fdata-sections>)
add_link_options($<$<CONFIG:Release>:LINKER:--gc-sections>)

add_library(cohort_options INTERFACE)
target_compile_options(cohort_options INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
# Only with the compilers that CI has (g++ 12, clang 19): a newer g++ brings new warnings, which must not break a user's build.
if(NOT (CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 13))
  target_compile_options(cohort_options INTERFACE
    $<$<OR:$<BOOL:${COHORT_WERROR}>,$<BOOL:$<TARGET_PROPERTY:COHORT_PLAIN>>>:-Werror>)
endif()
target_compile_definitions(cohort_options INTERFACE BOOST_ASIO_DISABLE_BOOST_COROUTINE)

# Instrumentation must cover every object of a program, so it is set for the whole directory tree.
if(COHORT_SANITIZE)
  add_compile_options(${COHORT_SANITIZED_OPTIONS} -fsanitize=${COHORT_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  if(COHORT_SANITIZE MATCHES undefined)
    # Its check opens a pipe to look at memory, and fails in a test that has no descriptors left.
    add_compile_options(-fno-sanitize=vptr)
  endif()
  add_link_options(-fsanitize=${COHORT_SANITIZE})
endif()
if(COHORT_LIBFUZZER)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(COHORT_COVERAGE)
  add_compile_options(--coverage -fprofile-update=atomic)
  add_link_options(--coverage)
endif()
