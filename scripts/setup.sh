#!/usr/bin/env bash
# Provides what Soapstone builds on: Debian packages; Kokkos and Dear ImGui in the user's cache
# folder.
# Quick when there is nothing to do. Needs root or sudo only if packages are missing.
# With --tests also what only tests use; without it such tests are skipped.
set -euo pipefail
case "$*" in
  '') for_tests=0 ;;
  --tests) for_tests=1 ;;
  *) printf 'setup: %s: --tests is accepted\n' "$*" >&2; exit 2 ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages=(
  build-essential cmake ninja-build ccache git pkg-config
  libdnnl-dev ocl-icd-opencl-dev  # oneDNN's CMake package asks for OpenCL
  libopenmpi-dev openmpi-bin
  nlohmann-json3-dev libtomlplusplus-dev libcli11-dev libfmt-dev libexpected-dev
  libsqlite3-dev librandom123-dev zlib1g-dev libgraphviz-dev
  libglfw3-dev libgl-dev libgl1-mesa-dri libpng-dev
  libgtest-dev libgmock-dev librapidcheck-dev libbenchmark-dev
  dataset-fashion-mnist iproute2 python3 python3-jsonschema
)
# With --tests: an oracle of 745 MB, a shell, a checker of manual pages and a display.
test_packages=(python3-torch python3-torchvision zsh mandoc xvfb xauth)

# Kokkos comes as sources inside its project's own PyPI source package.
kokkos_version=3.4.01
kokkos_package=pykokkos-base
kokkos_package_version=0.0.7
kokkos_package_sha256=6339daced1e81a2748f381847d8717cd77d824407da3c263b9491b5630c642b0

# Dear ImGui with docking, ImPlot, the test engine and fonts come as sources inside one PyPI package.
imgui_package=imgui-bundle
imgui_package_version=1.93.0
imgui_package_sha256=10ad1dab8258a6787b4f07bb926b08d0efc648a7906242568c8dd778c5e719bf

step() { printf '== %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# --- Debian packages --------------------------------------------------------------------------
install_packages() {
  if ! command -v dpkg-query >/dev/null; then
    step "packages: not a Debian system; what is needed there goes by these names: ${packages[*]}"
    return
  fi
  if ((for_tests)); then
    packages+=("${test_packages[@]}")
    # A cluster for tests, which would start services where there is something to start them.
    [[ -d /run/systemd/system ]] || packages+=(slurmctld slurmd slurm-client munge)
  fi
  python3 -m pip --version >/dev/null 2>&1 || packages+=(python3-pip)
  local missing=() package
  for package in "${packages[@]}"; do
    [[ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" == installed ]] ||
      missing+=("$package")
  done
  if ((${#missing[@]} == 0)); then
    step "packages: all ${#packages[@]} are installed"
    return
  fi
  local as_root=()
  if ((EUID != 0)); then
    if command -v sudo >/dev/null && { [[ -t 0 ]] || sudo -n true 2>/dev/null; }; then
      as_root=(sudo)
    else
      printf 'setup: these packages are missing, and installing them needs root:\n' >&2
      printf '  %s\n' "${missing[@]}" >&2
      exit 1
    fi
  fi
  step "packages: installing ${missing[*]}"
  "${as_root[@]}" apt-get update -q
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# --- Kokkos -----------------------------------------------------------------------------------
install_kokkos() {
  # The same search as the build itself makes: a Kokkos of the user's own wins.
  local probe
  probe=$(cmake -S cmake/kokkos_probe -B "$work/probe" 2>&1) || fail "the probe for Kokkos failed:
$probe"
  value() { sed -n "s/^-- probe $1 //p" <<<"$probe"; }
  local kind cache prefix
  kind=$(value kind)
  if [[ $kind == yours || $kind == cache || ($kind == system && $(value devices) == *\;*) ]]; then
    step "kokkos: $(value version) is there ($kind), with $(value devices)"
    return
  fi
  cache=$(value cache)
  prefix=$cache/kokkos-$kokkos_version-$(value key)

  step "kokkos: downloading $kokkos_package $kokkos_package_version"
  printf '%s==%s --hash=sha256:%s\n' \
    "$kokkos_package" "$kokkos_package_version" "$kokkos_package_sha256" >"$work/requirements.txt"
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
    --no-binary "$kokkos_package" --dest "$work" --requirement "$work/requirements.txt"
  mkdir "$work/sources"
  tar -xzf "$work"/pykokkos*base-*.tar.gz -C "$work/sources" --strip-components=1

  step "kokkos: building $kokkos_version with OpenMP and Serial for $(value key)"
  cmake -S "$work/sources/external/kokkos" -B "$work/build" -G Ninja \
    -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_STANDARD=20 -DCMAKE_POSITION_INDEPENDENT_CODE=ON \
    -DKokkos_ENABLE_OPENMP=ON -DKokkos_ENABLE_SERIAL=ON -DKokkos_ENABLE_TESTS=OFF \
    -DCMAKE_INSTALL_PREFIX="$prefix" >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; fail "configuring Kokkos failed"; }
  cmake --build "$work/build" -j 2 >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; fail "building Kokkos failed"; }

  step "kokkos: installing into $prefix"
  # Staged beside its final place and renamed: a prefix is complete or absent.
  mkdir -p "$cache"
  staging=$(mktemp -d "$cache/.staging-XXXXXX")
  DESTDIR=$staging cmake --install "$work/build" >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; fail "installing Kokkos failed"; }
  mv -T "$staging$prefix" "$prefix" 2>/dev/null || [[ -d $prefix ]] ||
    fail "could not move Kokkos to $prefix"
}

# --- Dear ImGui -------------------------------------------------------------------------------
# Sources only: they are compiled with the explorer, by its options.
install_imgui() {
  local cache=${XDG_CACHE_HOME:-$HOME/.cache}/soapstone
  local prefix=$cache/imgui-$imgui_package_version
  if [[ -n ${ImGuiBundle_ROOT:-} || -d $prefix ]]; then
    step "imgui: the sources are there"
    return
  fi
  step "imgui: downloading $imgui_package $imgui_package_version"
  printf '%s==%s --hash=sha256:%s\n' \
    "$imgui_package" "$imgui_package_version" "$imgui_package_sha256" >"$work/imgui.txt"
  # As with Kokkos, only the package itself is taken as sources. Its tools of building are not run.
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
    --no-binary "$imgui_package" --dest "$work" --requirement "$work/imgui.txt"
  mkdir -p "$work/imgui" "$cache"
  tar -xzf "$work"/imgui*bundle-*.tar.gz -C "$work/imgui" --strip-components=1
  staging=$(mktemp -d "$cache/.staging-XXXXXX")
  local from=$work/imgui/external fonts=$work/imgui/bindings/imgui_bundle/assets/fonts
  mkdir "$staging/fonts" "$staging/imgui_test_engine"
  cp -r "$from/imgui/imgui" "$staging/imgui"
  cp -r "$from/implot/implot" "$staging/implot"
  cp -r "$from/imgui_test_engine/imgui_test_engine/imgui_test_engine" "$staging/imgui_test_engine/"
  cp "$fonts"/Roboto/Roboto-{Regular,Bold}.ttf "$fonts"/Inconsolata-{Medium.ttf,LICENSE-OFL.txt} \
    "$staging/fonts/"
  cp "$fonts/Roboto/LICENSE.txt" "$staging/fonts/Roboto-LICENSE.txt"
  chmod 755 "$staging"
  mv -T "$staging" "$prefix" 2>/dev/null || [[ -d $prefix ]] ||
    fail "could not move Dear ImGui to $prefix"
}

work=$(mktemp -d)
staging=
trap 'rm -rf "$work" ${staging:+"$staging"}' EXIT

install_packages
install_kokkos
install_imgui
step "setup: done; next: cmake --preset release && cmake --build --preset release"
