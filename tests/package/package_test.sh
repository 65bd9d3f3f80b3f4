#!/usr/bin/env bash
# One step of the package test: install the library, or build and run consumer/ against it in one of three ways.
# tests/package/CMakeLists.txt sets the environment.
set -euo pipefail

way=$1
consumer=$(cd "$(dirname "$0")" && pwd)/consumer
prefix=$WORK/prefix
build=$WORK/$way

configure() {
  rm -rf "$build"
  "$CMAKE" -S "$consumer" -B "$build" -G Ninja -DCMAKE_CXX_COMPILER="$CXX" \
    -DCMAKE_CXX_COMPILER_LAUNCHER="$LAUNCHER" -DCMAKE_BUILD_TYPE="$BUILD_TYPE" "$@"
}

case $way in
  install)
    rm -rf "$prefix"
    "$CMAKE" --install "$COHORT_BUILD" --prefix "$prefix"
    for file in man/man1/cohort.1 man/man1/cohort-run.1 man/man1/cohort-verify-reload.1 man/man5/cohort.toml.5 \
      bash-completion/completions/cohort zsh/site-functions/_cohort fish/vendor_completions.d/cohort.fish; do
      [[ -s $prefix/share/$file ]] || { echo "share/$file is not installed" >&2; exit 1; }
    done
    # Moving the tree must not matter: neither file may name the place where it was built or installed.
    if grep -rnE "$COHORT_BUILD|$COHORT_SOURCE|$prefix" "$prefix/lib"*/cmake "$prefix/lib"*/pkgconfig; then
      echo "an installed file names a folder of this machine" >&2
      exit 1
    fi
    exit
    ;;
  find_package)
    configure -DCMAKE_PREFIX_PATH="$prefix"
    "$CMAKE" --build "$build" --parallel 2
    ;;
  add_subdirectory)
    configure -DCOHORT_SOURCE="$COHORT_SOURCE" -DCOHORT_WERROR="$WERROR" -DCMAKE_UNITY_BUILD="$UNITY" \
      -DCMAKE_UNITY_BUILD_BATCH_SIZE=24 -DCMAKE_CXX_FLAGS_DEBUG=-O0
    "$CMAKE" --build "$build" --parallel 2
    ;;
  pkg_config)
    rm -rf "$build"
    mkdir -p "$build"
    PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name cohort.pc)")
    export PKG_CONFIG_PATH
    # shellcheck disable=SC2046
    "$CXX" -std=c++20 "$consumer/consumer.cc" -o "$build/consumer" $(pkg-config --cflags --libs cohort)
    ;;
  *)
    echo "usage: $0 install|find_package|add_subdirectory|pkg_config" >&2
    exit 100
    ;;
esac

[[ $("$build/consumer") == "1 worker heard: hello" ]]
