#!/bin/sh
# Installs what the tests need from Debian and PyPI cannot give: a browser, and ps. Does nothing where they are there already.
set -eu

missing=""
command -v chromium >/dev/null || missing="$missing chromium"
command -v ps >/dev/null || missing="$missing procps"
[ -z "$missing" ] && exit 0

as_root=""
[ "$(id -u)" -eq 0 ] || as_root="sudo"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -q
# shellcheck disable=SC2086 # a list of names
$as_root apt-get install -y -q --no-install-recommends $missing
