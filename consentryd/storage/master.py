"""The master key: 32 bytes that wrap every region's keys. It comes from a file, the environment or a command, so that a KMS can hold it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from consentryd.model.error import ConfigError
from consentryd.storage.durable import place_private, replace_private

DEFAULT_FILE: Final = "master.key"
SOURCES: Final = ("file", "env", "command")
COMMAND_TIMEOUT_S: Final = 30
KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class MasterKey:
    """The key that wraps keys. `id` is a keyed fingerprint that names it without telling anything about it."""

    secret: bytes = field(repr=False)

    @property
    def id(self) -> str:
        return hmac.new(self.secret, b"consentry master key id", hashlib.sha256).hexdigest()[:16]

    @classmethod
    def generate(cls) -> MasterKey:
        return cls(secrets.token_bytes(KEY_BYTES))

    @classmethod
    def parse(cls, text: str, source: str) -> MasterKey:
        """From 64 hexadecimal digits or base64 of 32 bytes. Raises `ConfigError`; the message names the source, never the text."""
        text = text.strip()
        try:
            secret = (
                bytes.fromhex(text)
                if len(text) == 2 * KEY_BYTES
                else base64.b64decode(text.encode(), altchars=b"-_", validate=True)
            )
        except (ValueError, binascii.Error):
            secret = b""
        if len(secret) != KEY_BYTES:
            raise ConfigError(f"The master key from {source} is not 32 bytes in base64 or hexadecimal. Restore the right key.")
        return cls(secret)

    def text(self) -> str:
        """Base64, as a key file holds it."""
        return base64.b64encode(self.secret).decode()


def load_master(spec: str | None, data_dir: Path, environ: Mapping[str, str]) -> MasterKey:
    """The master key named by `keys.master`: `file:PATH`, `env:NAME` or `command:ARGV`; None is the file `master.key` in `data_dir`.

    Only the default file is ever created, and only while no region has keys. Raises `ConfigError` in every other case of absence.
    """
    if spec is None:
        return _default_file(data_dir)
    kind, rest = parse_source(spec)
    if kind == "file":
        return _read_file(data_dir / rest)
    if kind == "env":
        if rest not in environ:
            raise ConfigError(f"keys.master names the environment variable {rest}, which is not set.")
        return MasterKey.parse(environ[rest], f"the environment variable {rest}")
    return _run_command(rest)


def parse_source(spec: str) -> tuple[str, str]:
    """`file`, `env` or `command`, and what it names. Raises `ConfigError`."""
    kind, _, rest = spec.partition(":")
    if kind not in SOURCES or not rest:
        raise ConfigError("keys.master must be file:PATH, env:NAME or command:ARGV.")
    return kind, rest


def check_source(spec: str | None, data_dir: Path) -> None:
    """Whether a key could come from there; no command is run. Raises `ConfigError`."""
    if spec is None:
        return
    kind, rest = parse_source(spec)
    if kind == "file":
        _read_file(data_dir / rest)
    elif kind == "command":
        _find_program(rest)


def write_master(path: Path, master: MasterKey) -> None:
    """Write a key file, mode 0600, in place of an older one at once or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_private(path, master.text() + "\n")


def _default_file(data_dir: Path) -> MasterKey:
    path = data_dir / DEFAULT_FILE
    if not path.exists():
        if any(data_dir.glob("*/keys/ring.json")):
            raise ConfigError(
                f"The master key {path} is gone but regions have keys wrapped by it. Restore the file from a backup."
            )
        data_dir.mkdir(parents=True, exist_ok=True)
        place_private(path, MasterKey.generate().text() + "\n")
    return _read_file(path)


def _read_file(path: Path) -> MasterKey:
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        raise ConfigError(
            f"The master key file {path} does not exist. A path of keys.master begins in the data directory if it is relative."
        ) from None
    except OSError as error:
        raise ConfigError(f"The master key file {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"The master key file {path} is no text. Restore the right key.") from None
    if mode & 0o077:
        raise ConfigError(f"The master key file {path} can be read by others. Run: chmod 600 {path}")
    return MasterKey.parse(text, str(path))


def _run_command(command: str) -> MasterKey:
    """What the command prints. Its errors are not repeated: who knows what they quote."""
    argv = _find_program(command)
    try:
        done = subprocess.run(argv, capture_output=True, timeout=COMMAND_TIMEOUT_S, check=True, text=True)  # noqa: S603  the operator's own command
    except OSError as error:
        raise ConfigError(f"The command of keys.master cannot be run: {argv[0]}: {error.strerror}.") from None
    except subprocess.CalledProcessError as error:
        raise ConfigError(
            f"The command of keys.master, {argv[0]}, failed with exit code {error.returncode}. Run it by hand to see why."
        ) from None
    except subprocess.TimeoutExpired:
        raise ConfigError(f"The command of keys.master, {argv[0]}, did not end within {COMMAND_TIMEOUT_S} s.") from None
    except ValueError:
        raise ConfigError(f"The command of keys.master, {argv[0]}, prints what is no text.") from None
    return MasterKey.parse(done.stdout, "the command of keys.master")


def _find_program(command: str) -> list[str]:
    """The command's words, if the first is a program. Raises `ConfigError`."""
    try:
        argv = shlex.split(command)
    except ValueError:
        argv = []
    if not argv:
        raise ConfigError("The command of keys.master is no command line: is a quotation mark left open?")
    if shutil.which(argv[0]) is None:
        raise ConfigError(f"The command of keys.master is not found: {argv[0]}.")
    return argv
