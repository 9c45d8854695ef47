"""Makes a Debian root file system look as a NixOS system with dynix would, where a test looks.

Takes the directories under services/: units, static files at the store paths that they name, and a description. Runs
the real `dynix generate` on the description, installs what it wrote, and leaves a system profile with an `activate`
that runs before systemd does, as NixOS's second boot stage does. Test scripts install nothing: on NixOS, modules do.
"""

import json
import os
import shutil
import tomllib
from pathlib import Path
from typing import Any

from .container import SYSTEM, Container
from .log import Log

Json = dict[str, Any]

_TESTS = Path(__file__).resolve().parent.parent
_REPOSITORY = _TESTS.parent.parent
_FIXTURE = _REPOSITORY / "tests/fixtures/services/static.json"

# What the package installs.
_CATALOGUE = _REPOSITORY / "src/telemetry/journal/dynix.catalog"

_PACKAGE = "/nix/store/00000000000000000000000000000000-dynix"
_GENERATED = "/nix/store/11111111111111111111111111111111-dynix-generated"
_TOPLEVEL = "/nix/store/22222222222222222222222222222222-nixos-system-machine"
_ETC = "/nix/store/44444444444444444444444444444444-etc/etc"

# stage-2-init.sh in nixpkgs: the activation, then systemd.
_INIT = f"""\
#!/bin/sh
{_TOPLEVEL}/activate
exec /usr/lib/systemd/systemd
"""

# What setup-etc.pl of nixpkgs does with links: /etc/static leads to the new system's files; links to what is no longer there
# go, and every file gets its link anew. A file that is a copy is left out.
_SETUP_ETC = f"""\
if [ -d {_ETC} ]; then
  ln -sfn {_ETC} /etc/.static.tmp
  mv --no-target-directory /etc/.static.tmp /etc/static
  find /etc -type l -lname '/etc/static*' | while read -r link; do
    [ -L "/etc/static${{link#/etc}}" ] || rm "$link"
  done
  (cd {_ETC} && find . -type l) | while read -r file; do
    file=${{file#./}}
    mkdir --parents "/etc/$(dirname "$file")"
    ln -sfn "/etc/static/$file" "/etc/$file.tmp"
    mv --no-target-directory "/etc/$file.tmp" "/etc/$file"
  done
fi"""

# An activation script has a PATH of its own, without the system's programs.
_ACTIVATE = f"""\
#!/bin/sh
systemConfig={_TOPLEVEL}
export PATH=/usr/bin:/bin
status=0
{_SETUP_ETC}
. {_GENERATED}/activate || status=$?
ln -sfn "$systemConfig" /run/current-system
exit $status
"""

# What of switch-to-configuration-ng a service sees: the lock, which it never waits for and keeps to the end; the units
# that changed, stopped before the activation and started after it; NIXOS_ACTION; the activation script. Which units
# changed is not found by comparing them, but named in a file of the system, changed-units.
_SWITCH = f"""\
#!/bin/sh
export NIXOS_ACTION="$1"
case "$1" in
  boot | switch | test | dry-activate) ;;
  *) echo "usage: switch-to-configuration switch|boot|test|dry-activate" >&2; exit 1 ;;
esac
mkdir -p /run/nixos
exec 9>> /run/nixos/switch-to-configuration.lock
/usr/bin/flock --nonblock 9 || {{ echo "Could not acquire lock" >&2; exit 11; }}
[ "$1" != boot ] || exit 0
# Nobody inherits the lock.
switch() {{
  if [ "$1" = dry-activate ]; then exec {_TOPLEVEL}/dry-activate; fi
  status=0
  changed=""
  [ ! -e {_TOPLEVEL}/changed-units ] || changed=$(cat {_TOPLEVEL}/changed-units)
  [ -z "$changed" ] || /usr/bin/systemctl stop $changed
  {_TOPLEVEL}/activate || status=2
  /usr/bin/systemctl reset-failed
  /usr/bin/systemctl daemon-reload
  [ -z "$changed" ] || /usr/bin/systemctl start $changed || status=4
  return $status
}}
(switch "$1") 9>&-
"""


class Service:
    """One directory under services/."""

    def __init__(self, name: str) -> None:
        self.directory = _TESTS / "services" / name
        self.spec = tomllib.loads((self.directory / "service.toml").read_text())
        unknown = self.spec.keys() - {"stand-in", "description", "copies", "enable", "absent", "file", "link", "etc", "home"}
        assert not unknown, f"{self.directory}/service.toml: unknown keys {sorted(unknown)}"

    @property
    def is_of_users(self) -> bool:
        """Whether it is a user's own, as home-manager writes it."""
        return "home" in self.spec

    def _each(self, text: str) -> list[str]:
        """The text; of several copies, once for each with its number."""
        if "copies" not in self.spec:
            return [text]
        return [text.replace("-N", f"-{number}") for number in range(self.spec["copies"])]

    def description(self) -> Json:
        text = (self.directory / self.spec["description"]).read_text()
        services: Json = {}
        for one in self._each(text):
            services |= json.loads(one)["services"]
        return {"services": services}

    def stand_in(self) -> str | None:
        text: str | None = self.spec.get("stand-in")
        return text

    def install_for(self, user: "User", root: Path) -> None:
        """A user's own: files of the store, and links in the user's home to them (home-manager, modules/files.nix)."""
        for file in self.spec.get("file", []):
            _write(root, user.said(file["path"]), user.said(self._content(file)), int(file.get("mode", "0444"), 8))
        self._install_links(root)
        for path, target in self.spec["home"].items():
            _below(root, f"{user.home}/{path}").symlink_to(user.said(target))

    def install(self, root: Path) -> None:
        for path in self.spec.get("absent", []):
            shutil.rmtree(root / path.lstrip("/"), ignore_errors=True)
        for file in self.spec.get("file", []):
            for path, content in zip(self._each(file["path"]), self._each(self._content(file)), strict=True):
                place = _below(root, path)
                # Debian may have a link there.
                place.unlink(missing_ok=True)
                place.write_text(content)
                place.chmod(int(file.get("mode", "0444"), 8))
        self._install_links(root)
        # As environment.etc: a link to /etc/static, which the activation makes.
        for path, target in self.spec.get("etc", {}).items():
            _below(root, f"{_ETC}/{path}").symlink_to(target)
            (root / "etc" / path).unlink(missing_ok=True)
        for unit in (one for unit in self.spec.get("enable", []) for one in self._each(unit)):
            target = "sockets" if unit.endswith(".socket") else "multi-user"
            _below(root, f"/etc/systemd/system/{target}.target.wants/{unit}").symlink_to(f"/etc/systemd/system/{unit}")

    def _install_links(self, root: Path) -> None:
        for link in self.spec.get("link", []):
            place = _below(root, link["path"])
            # Services share packages, and Debian's packages have files under /etc.
            place.unlink(missing_ok=True)
            place.symlink_to(link["to"])

    def _content(self, file: Json) -> str:
        """From the directory, or word for word from what NixOS evaluated."""
        if "source" in file:
            return str((self.directory / file["source"]).read_text())
        value = json.loads(_FIXTURE.read_text())
        for key in file["fixture"]:
            value = value[key]
        return str(value)


class User:
    """A user whose own services dynix is to change: @user@ and @uid@ in their files are the user's."""

    def __init__(self, name: str, uid: int) -> None:
        self.name = name
        self.uid = uid
        self.home = f"/home/{name}"
        self.generated = f"/nix/store/{self.uid:032}-dynix-generated"

    def said(self, text: str) -> str:
        return text.replace("@user@", self.name).replace("@uid@", str(self.uid))


def install(
    container: Container, services: list[Service], settings: Json, dynix: Path, log: Log, homes: list[User]
) -> None:
    """Everything that a NixOS module would have put there. `settings`: further keys of the description."""
    root = container.root
    _write(root, "/etc/machine-id", "d1a1c0de00000000000000000000d1a1\n")
    _write(root, "/etc/hostname", "machine\n")
    _write(root, "/etc/hosts", "127.0.0.1 localhost machine\n::1 localhost machine\n")
    (root / "etc/nixos").mkdir()
    services, own = [s for s in services if not s.is_of_users], [s for s in services if s.is_of_users]
    for service in services:
        service.install(root)
    container.bind(dynix, f"{_PACKAGE}/bin/dynix")
    merged = {"version": 1, "services": {}} | settings
    for service in services:
        merged["services"] |= service.description()["services"]
    _write(root, "/nix/store/33333333333333333333333333333333-description.json", json.dumps(merged, indent=2))
    said = container.run_unbooted(
        [
            f"{_PACKAGE}/bin/dynix",
            "generate",
            "--description=/nix/store/33333333333333333333333333333333-description.json",
            f"--out={_GENERATED}",
        ]
    )
    log.say(said.strip())
    generated = root / _GENERATED.lstrip("/")
    for drop_in in sorted((generated / "lib/systemd/system").glob("*.d/*.conf")):
        inside = drop_in.relative_to(generated)
        _below(root, f"/etc/systemd/system/{drop_in.parent.name}/{drop_in.name}").symlink_to(f"{_GENERATED}/{inside}")
    for drop_in in sorted((generated / "lib/systemd/user").glob("*.d/*.conf")):
        inside = drop_in.relative_to(generated)
        _below(root, f"/etc/systemd/user/{drop_in.parent.name}/{drop_in.name}").symlink_to(f"{_GENERATED}/{inside}")
    for unit in sorted(one for one in (generated / "lib/systemd/system").glob("*") if one.is_file()):
        _below(root, f"/etc/systemd/system/{unit.name}").symlink_to(f"{_GENERATED}/lib/systemd/system/{unit.name}")
        if unit.suffix == ".socket":
            _below(root, f"/etc/systemd/system/sockets.target.wants/{unit.name}").symlink_to(f"../{unit.name}")
    _write(root, "/usr/lib/systemd/catalog/dynix.catalog", _CATALOGUE.read_text())
    _below(root, "/etc/dynix/plan.json").symlink_to(f"{_GENERATED}/plan.json")
    _toplevel(root, generated)
    for user in homes:
        _install_home(container, user, own, log)


def _install_home(container: Container, user: User, services: list[Service], log: Log) -> None:
    """What home-manager puts there, with dynix's module."""
    root = container.root
    merged: Json = {"version": 1, "scope": "user", "verify": "off", "watch": 2, "services": {}}
    for service in services:
        service.install_for(user, root)
        merged["services"] |= json.loads(user.said(json.dumps(service.description())))["services"]
    description = f"/nix/store/{user.uid:032}-description.json"
    _write(root, description, json.dumps(merged, indent=2))
    said = container.run_unbooted(
        [f"{_PACKAGE}/bin/dynix", "generate", f"--description={description}", f"--out={user.generated}"]
    )
    log.say(said.strip())
    generated = root / user.generated.lstrip("/")
    units = generated / "lib/systemd/user"
    for file in sorted([*units.glob("*.d/*.conf"), *units.glob("*.service")]):
        inside = file.relative_to(units)
        _below(root, f"{user.home}/.config/systemd/user/{inside}").symlink_to(f"{user.generated}/lib/systemd/user/{inside}")
    for wants, unit in [("basic", "dynix-activate.service"), ("default", "dynix-after-login.service")]:
        place = f"{user.home}/.config/systemd/user/{wants}.target.wants/{unit}"
        _below(root, place).symlink_to(f"{user.generated}/lib/systemd/user/{unit}")
    _below(root, f"{user.home}/.config/dynix/plan.json").symlink_to(f"{user.generated}/plan.json")
    home = root / user.home.lstrip("/")
    (home / ".local/share").mkdir(parents=True)
    for place in [home, *home.rglob("*")]:
        os.chown(place, user.uid, user.uid, follow_symlinks=False)


def add_users(container: Container, users: list[str]) -> list[User]:
    """Users as users.users of NixOS makes them: each with a group of its name."""
    for number, name in enumerate(users, start=1000):
        for file, line in [
            ("passwd", f"{name}:x:{number}:{number}::/home/{name}:/bin/sh\n"),
            ("group", f"{name}:x:{number}:\n"),
            # PAM wants it for a session, which a user manager has.
            ("shadow", f"{name}:!:1::::::\n"),
        ]:
            with (container.root / "etc" / file).open("a") as database:
                database.write(line)
        home = container.root / "home" / name
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(0o700)
        os.chown(home, number, number)
    return [User(name, number) for number, name in enumerate(users, start=1000)]


def _toplevel(root: Path, generated: Path) -> None:
    _write(root, f"{_TOPLEVEL}/init", _INIT, 0o555)
    _write(root, f"{_TOPLEVEL}/activate", _ACTIVATE, 0o555)
    dry = f"#!/bin/sh\nexport PATH=/usr/bin:/bin\nexec {_GENERATED}/activate\n"
    _write(root, f"{_TOPLEVEL}/dry-activate", dry, 0o555)
    _write(root, f"{_TOPLEVEL}/bin/switch-to-configuration", _SWITCH, 0o555)
    _below(root, f"{_TOPLEVEL}/sw/bin/dynix").symlink_to(f"{_PACKAGE}/bin/dynix")
    for program in sorted((generated / "bin").iterdir()):
        _below(root, f"{_TOPLEVEL}/sw/bin/{program.name}").symlink_to(f"{_GENERATED}/bin/{program.name}")
    _below(root, SYSTEM).symlink_to(_TOPLEVEL)


def _below(root: Path, path: str) -> Path:
    """The place of `path` under `root`, with its directory made."""
    place = root / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _write(root: Path, path: str, text: str, mode: int = 0o444) -> None:
    place = _below(root, path)
    place.unlink(missing_ok=True)
    place.write_text(text)
    place.chmod(mode)
