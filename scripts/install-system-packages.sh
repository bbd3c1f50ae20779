#!/bin/sh
# Installs what the tests need from Debian and PyPI cannot give: a browser. Does nothing where it is there already.
set -eu

missing=""
command -v chromium >/dev/null || missing="$missing chromium"
[ -z "$missing" ] && exit 0

as_root=""
[ "$(id -u)" -eq 0 ] || as_root="sudo"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -q
# shellcheck disable=SC2086 # a list of names
$as_root apt-get install -y -q --no-install-recommends $missing
