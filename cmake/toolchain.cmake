# Compiler settings for every target: C++20, warnings as errors, mold and ccache where installed.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

# One optimised build serves development, tests and images: building the tree twice would cost more than -O2 does.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")  # no -DNDEBUG: CHECK and assert stay on in release

add_compile_options(-Wall -Wextra -Wno-missing-field-initializers -Werror -fno-strict-aliasing)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports false positives from inlined std::string and std::vector code at -O2.
  add_compile_options(-Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-array-bounds -Wno-restrict -Wno-stringop-overread)
  # A tenth of a unit's time goes into collecting garbage that fits into memory (about 1 GiB for the largest unit).
  set(KEEP_GARBAGE --param=ggc-min-heapsize=1048576)
  add_compile_options(${KEEP_GARBAGE})
endif()
# The same object for any build directory: ccache hits across clones, and reproducible paths in messages.
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)

find_program(CCACHE ccache)
if(CCACHE)
  # base_dir and nohashdir let build directories share one cache; the ignored option changes no object.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_IGNOREOPTIONS=${KEEP_GARBAGE} ${CCACHE})
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

if(MILLRACE_SANITIZE)
  add_compile_options(-fsanitize=${MILLRACE_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${MILLRACE_SANITIZE})
  if(MILLRACE_SANITIZE MATCHES "thread")
    add_compile_options(-Wno-tsan)  # Boost.Asio's fences, which the sanitizer does not follow
  endif()
endif()

# The fuzz preset (clang): everything is instrumented, module.cmake makes a program of each *_fuzz.cc.
if(MILLRACE_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# The defects preset: mistakes to be chosen at run time (broker/common/defect.h). Never in an image.
if(MILLRACE_DEFECTS)
  add_compile_definitions(MILLRACE_DEFECTS)
endif()
