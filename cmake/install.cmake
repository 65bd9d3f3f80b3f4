# `cmake --install`: the library, its headers, cohortConfig.cmake and cohort.pc. The command: apps/cohort.
include(CMakePackageConfigHelpers)

set(COHORT_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/cohort)
install(TARGETS cohort EXPORT cohort_targets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT cohort_targets NAMESPACE cohort:: FILE cohortTargets.cmake DESTINATION ${COHORT_CMAKE_DIR})

# What the library needs, if it steers by eBPF.
get_target_property(COHORT_PC_LIBS cohort COHORT_PC_LIBS)
if(NOT COHORT_PC_LIBS)
  set(COHORT_PC_LIBS "")
endif()
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/cohortConfig.cmake.in
  ${PROJECT_BINARY_DIR}/cohortConfig.cmake INSTALL_DESTINATION ${COHORT_CMAKE_DIR}
  NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cohortConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/cohortConfig.cmake ${PROJECT_BINARY_DIR}/cohortConfigVersion.cmake
  DESTINATION ${COHORT_CMAKE_DIR})

# The prefix is relative to the file, so that `cmake --install --prefix` and a moved tree both work.
file(RELATIVE_PATH COHORT_PC_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" COHORT_PC_PREFIX ${COHORT_PC_PREFIX})
configure_file(${CMAKE_CURRENT_LIST_DIR}/cohort.pc.in ${PROJECT_BINARY_DIR}/cohort.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/cohort.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
