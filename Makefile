# SPDX-License-Identifier: Apache-2.0
# The few commands one needs; the build itself is Meson's.
#   make run     set up, build, and show two instances that talk to each other
#   make test    set up, build, run all tests
#   make bench   set up, build for release, measure
#   make format  format the C sources (clang-format)
#   make clean   delete the build directories

.PHONY: run test bench format clean setup build

run: build
	tests/demo/demo.sh build

test: build
	meson test -C build --print-errorlogs

bench: setup
	test -f build-release/build.ninja || meson setup build-release --buildtype=release -Dtests=false
	ninja -C build-release
	bench/run.sh build-release

build: setup
	test -f build/build.ninja || meson setup build
	ninja -C build

setup:
	tools/setup.sh

format:
	git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	rm -rf build build-*/
