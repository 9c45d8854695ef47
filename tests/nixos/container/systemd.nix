# Debian's systemd, arranged as nixpkgs arranges it: units below example/, programs at its own path.
{
  lib,
  take,
  shebangs,
}:
let
  # Every unit that NixOS's modules may name. What this systemd does not have becomes one that does nothing, since a system
  # with a missing unit does not build.
  modules =
    directory:
    lib.concatLists (
      lib.mapAttrsToList (
        name: kind:
        if kind == "directory" then
          modules (directory + "/${name}")
        else
          lib.optional (lib.hasSuffix ".nix" name) (directory + "/${name}")
      ) (builtins.readDir directory)
    );
  named =
    file:
    lib.filter (
      word:
      builtins.match "[A-Za-z0-9@._-]+\\.(service|socket|target|mount|automount|path|timer|slice)" word
      != null
    ) (lib.filter lib.isString (builtins.split "\"" (builtins.readFile file)));
  units = lib.unique (lib.concatMap named (modules ./nixpkgs/nixos/modules/system/boot));
in
take {
  name = "systemd";
  version = "257";
  debs = [
    "systemd"
    "udev"
    "systemd-sysv"
  ];
  inherit shebangs;
  trees = {
    "lib/systemd" = "/usr/lib/systemd";
    "lib/udev" = "/usr/lib/udev";
    "lib/tmpfiles.d" = "/usr/lib/tmpfiles.d";
    "lib/sysctl.d" = "/usr/lib/sysctl.d";
    "share/dbus-1" = "/usr/share/dbus-1";
  };
  finish = ''
    mkdir -p example/systemd example/tmpfiles.d example/sysctl.d
    mv lib/systemd/system example/systemd/system
    mv lib/systemd/user example/systemd/user
    rm -rf lib/systemd/system-preset lib/systemd/user-preset lib/systemd/*-generators lib/systemd/*.conf.d lib/systemd/profile.d
    cp lib/tmpfiles.d/* example/tmpfiles.d/
    cp lib/sysctl.d/* example/sysctl.d/ 2> /dev/null || true
    rm -f example/tmpfiles.d/debian.conf example/tmpfiles.d/dbus.conf example/tmpfiles.d/passwd.conf
    for program in halt poweroff reboot shutdown telinit runlevel; do ln -sf systemctl bin/$program; done
    rm -f bin/init

    # Programs by their paths in the store.
    for kind in system user; do
      find example/systemd/$kind -type f | while read -r unit; do
        sed -i -e "s#/usr/lib/systemd/#$out/lib/systemd/#g" -e "s#=\([-@!+:]*\)/usr/s\?bin/#=\1$out/bin/#g" \
          -e "s#^\(Exec[A-Za-z]*=[-@!+:]*\)\(systemd-[a-z]*\|udevadm\|systemctl\|journalctl\|bootctl\) #\1$out/bin/\2 #" "$unit"
      done
    done

    # What is wanted at boot without NixOS saying so: only what belongs to systemd itself.
    for wants in example/systemd/system/*.wants; do
      for link in "$wants"/*; do
        case ''${link##*/} in
          systemd-firstboot.service | systemd-sysusers.service | systemd-hwdb-update.service) rm -f "$link" ;;
          systemd-* | dev-* | sys-* | kmod-* | getty* | cryptsetup* | remote-* | *-pre.target | local-fs.target | swap.target) ;;
          veritysetup* | integrity* | proc-sys*) ;;
          *) rm -f "$link" ;;
        esac
      done
    done
    for target in basic sysinit sockets local-fs multi-user timers; do mkdir -p example/systemd/system/$target.target.wants; done

    for unit in ${toString units}; do
      for kind in system user; do
        file=example/systemd/$kind/$unit
        [ ! -e $file ] && [ ! -L $file ] || continue
        {
          printf '[Unit]\nDescription=%s, which this systemd does not have\n' "$unit"
          case $unit in
            *.service) printf '[Service]\nType=oneshot\nExecStart=/bin/sh -c :\n' ;;
            *.socket) printf '[Socket]\nListenStream=/run/absent\n' ;;
            *.path) printf '[Path]\nPathExists=/run/absent\n' ;;
            *.timer) printf '[Timer]\nOnBootSec=9999999\n' ;;
            *.mount | *.automount) printf '[Mount]\nWhat=none\nWhere=/run/absent\n' ;;
          esac
        } > $file
      done
    done
  '';
  attributes = {
    interfaceVersion = 2;
    withCryptsetup = false;
    passthru.interfaceVersion = 2;
  };
}
