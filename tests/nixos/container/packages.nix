# The packages of a small NixOS, from Debian. Whatever is not replaced here can't be built, and is not needed.
final: prev:
let
  inherit (prev) lib;
  inherit (prev.stdenv.hostPlatform) system;
  take = import ./take.nix { inherit system; };
  tools = import ./tools.nix { inherit take; };
  python = "${final.python3}/bin/python3";
  shebangs = tools.shebangs // {
    perl = "${final.perl}/bin/perl";
    python3 = python;
  };

  # Debian's packages under the name that nixpkgs has for them.
  of =
    name: debs: more:
    take (
      {
        inherit name debs shebangs;
      }
      // more
    );
  nothing =
    name:
    take {
      inherit name;
      finish = "mkdir -p lib share";
    };
  # A program of the machine tests that stands in for the real one.
  standIn =
    name: more:
    take (
      {
        inherit name;
        finish = "sed '1s|.*|#!${python}|' ${./stand-ins + "/${name}.py"} > bin/${name}; chmod +x bin/${name}";
      }
      // more
    );
in
# What modules name and nothing here uses.
lib.genAttrs [
  "alsa-utils"
  "alsaUtils"
  "audit"
  "bash-completion"
  "bcache-tools"
  "bind"
  "bridge-utils"
  "chrony"
  "cpufrequtils"
  "crda"
  "cron"
  "cryptsetup"
  "dconf"
  "dmidecode"
  "dnsutils"
  "docbook_xsl_ns"
  "dosfstools"
  "ethtool"
  "fuse"
  "fuse3"
  "getconf"
  "glib"
  "gnupg"
  "groff"
  "help2man"
  "host"
  "hwdata"
  "hwinfo"
  "intel-gpu-tools"
  "ipset"
  "iw"
  "kexec-tools"
  "kexectools"
  "libcap_ng"
  "libressl"
  "libxml2"
  "libxslt"
  "linux-pam"
  "linuxHeaders"
  "logrotate"
  "lvm2"
  "man-db"
  "mdadm"
  "mkpasswd"
  "netcat"
  "nfs-utils"
  "nix-bash-completions"
  "nix-info"
  "nix-zsh-completions"
  "ntp"
  "openresolv"
  "pciutils"
  "polkit"
  "rfkill"
  "rng-tools"
  "rpcbind"
  "rtkit"
  "shared-mime-info"
  "sudo"
  "tcpdump"
  "texinfoInteractive"
  "thin-provisioning-tools"
  "time"
  "ubuntu_font_family"
  "udisks2"
  "unzip"
  "usbutils"
  "w3m"
  "wirelesstools"
  "x11_ssh_askpass"
  "xdg_utils"
  "xkeyboard_config"
  "xterm"
] nothing
// import ./servers.nix {
  inherit
    of
    take
    tools
    nothing
    lib
    ;
}
// {
  # Who imports it again gets these packages.
  path = ./.;

  # Programs.
  inherit (tools)
    bash
    bzip2
    coreutils
    diffutils
    file
    findutils
    gawk
    gnugrep
    gnumake
    gnused
    gnutar
    gzip
    xz
    ;
  bashInteractive = tools.bash;
  bash_5 = tools.bash;
  bashNonInteractive = tools.bash;
  gnupatch = tools.patch;
  runtimeShellPackage = tools.bash;
  runtimeShell = "${tools.bash}/bin/bash";
  glibc = tools.libc;
  getent = tools.libc;
  glibcLocales = take {
    name = "glibc-locales";
    finish = "mkdir -p lib/locale; touch lib/locale/locale-archive";
  };
  acl = of "acl" [ "acl" ] { };
  attr = of "attr" [ "attr" ] { };
  # For a copy of a list of options, which nobody reads.
  brotli = of "brotli" [ ] { finish = "ln -s ${tools.coreutils}/bin/true bin/brotli"; };
  cacert = of "cacert" [ ] {
    finish = "mkdir -p etc/ssl/certs; cp /etc/ssl/certs/ca-certificates.crt etc/ssl/certs/ca-bundle.crt";
  };
  cpio = of "cpio" [ "cpio" ] { };
  curl = of "curl" [ "curl" ] { };
  e2fsprogs = of "e2fsprogs" [ "e2fsprogs" ] { };
  gettext = of "gettext" [ "gettext-base" ] { };
  git = of "git" [ "git" ] { };
  gitAndTools = { inherit (final) git; };
  gitMinimal = final.git;
  hostname-debian = final.nettools;
  iana-etc = of "iana-etc" [ ] { finish = "mkdir -p etc; cp /etc/services /etc/protocols etc/"; };
  iproute = of "iproute2" [ "iproute2" ] { };
  iproute2 = final.iproute;
  iputils = of "iputils" [ "iputils-ping" ] { };
  jq = of "jq" [ "jq" ] { };
  kbd = of "kbd" [ "kbd" ] { finish = "mkdir -p share/keymaps share/consolefonts"; };
  kmod = of "kmod" [ "kmod" ] { };
  less = of "less" [ "less" ] { };
  libcap = of "libcap" [ "libcap2-bin" ] { };
  lndir = final.xorg.lndir;
  nano = of "nano" [ "nano" ] { };
  ncurses = of "ncurses" [ "ncurses-bin" ] {
    finish = "mkdir -p share; cp -rL /usr/share/terminfo share/ || cp -rL /lib/terminfo share/";
  };
  nettools = of "nettools" [ "hostname" ] { };
  openssh = of "openssh" [ "openssh-client" "openssh-server" "openssh-sftp-server" ] {
    # Debian's sshd has its empty directory in another place, which its unit makes.
    finish = ''
      mkdir -p libexec etc/ssh
      cp /usr/lib/openssh/sftp-server libexec/
      cp /etc/ssh/moduli etc/ssh/
      mv bin/sshd libexec/
      printf '#!%s\n%s/bin/mkdir -p /run/sshd\nexec %s/libexec/sshd "$@"\n' \
        ${tools.bash}/bin/bash ${tools.coreutils} "$out" > bin/sshd
      chmod +x bin/sshd
    '';
  };
  openssl = of "openssl" [ "openssl" ] { };
  patchelf = of "patchelf" [ "patchelf" ] { };
  perl = of "perl" [ "perl-base" "perl" ] {
    shebangs = { };
    attributes = {
      libPrefix = "lib/perl5/site_perl";
      withPackages = _: final.perl;
    };
  };
  # Debian's modules are where its perl looks by itself.
  perlPackages =
    lib.genAttrs [
      "ConfigIniFiles"
      "DBDSQLite"
      "DBI"
      "FileSlurp"
      "JSON"
      "NetDBus"
      "XMLParser"
      "XMLTwig"
    ] nothing
    // {
      inherit (final) perl;
      makePerlPath = _: "";
    };
  procps = of "procps" [ "procps" ] { };
  procps-ng = final.procps;
  psmisc = of "psmisc" [ "psmisc" ] { };
  python3 = of "python3" [ "python3-minimal" "python3.13-minimal" ] {
    shebangs = { };
    finish = "ln -sf python3.13 bin/python3";
  };
  rsync = of "rsync" [ "rsync" ] { };
  shadow = (of "shadow" [ "passwd" "login" ] { finish = "cp /usr/bin/su bin/su"; }) // {
    su = final.shadow;
    shellPath = "/bin/nologin";
  };
  sqlite = of "sqlite" [ "sqlite3" ] { };
  strace = of "strace" [ "strace" ] { };
  tzdata = of "tzdata" [ ] { trees."share/zoneinfo" = "/usr/share/zoneinfo"; };
  util-linux = of "util-linux" [ "util-linux" "mount" "fdisk" "bsdutils" ] {
    version = "2.41";
    finish = "rm -f bin/su";
  };
  utillinux = final.util-linux;
  which = of "which" [ "debianutils" ] {
    only = [ "which.debianutils" ];
    finish = "mv bin/which.debianutils bin/which";
  };
  zstd = of "zstd" [ "zstd" ] { };

  # The system.
  dbus = of "dbus" [ "dbus-daemon" "dbus-bin" ] {
    trees."share/dbus-1" = "/usr/share/dbus-1";
    finish = ''
      find share/dbus-1 \( -name 'org.freedesktop.*' -o -name 'systemd-*' \) -delete
      mkdir -p libexec etc/dbus-1 etc/systemd/system etc/systemd/user lib/systemd/user share/dbus-1/system.d share/dbus-1/session.d
      cp /usr/lib/dbus-1.0/dbus-daemon-launch-helper libexec/
      sed "s|/usr/bin/|$out/bin/|g" /usr/lib/systemd/system/dbus.service > etc/systemd/system/dbus.service
      cp /usr/lib/systemd/system/dbus.socket etc/systemd/system/
    '';
    attributes.daemon = final.dbus;
  };
  makeDBusConf =
    { suidHelper, serviceDirectories, ... }:
    final.runCommand "dbus-1" { inherit serviceDirectories suidHelper; } ''
      mkdir -p $out
      {
        echo '<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"'
        echo '  "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">'
        echo "<busconfig><servicehelper>$suidHelper</servicehelper>"
        for directory in $serviceDirectories; do
          echo "<servicedir>$directory/share/dbus-1/system-services</servicedir>"
          echo "<includedir>$directory/etc/dbus-1/system.d</includedir><includedir>$directory/share/dbus-1/system.d</includedir>"
        done
        echo "</busconfig>"
      } > $out/system.conf
      cp $out/system.conf $out/session.conf
    '';
  nix = of "nix" [ "nix-bin" ] {
    version = "2.26.3";
    finish = ''
      mkdir -p lib/systemd/system
      cat > lib/systemd/system/nix-daemon.service <<END
      [Unit]
      Description=Nix Daemon
      RequiresMountsFor=/nix/store /nix/var
      ConditionPathIsReadWrite=/nix/var/nix/daemon-socket

      [Service]
      ExecStart=@$out/bin/nix-daemon nix-daemon --daemon
      KillMode=process
      END
      cat > lib/systemd/system/nix-daemon.socket <<END
      [Unit]
      Description=Nix Daemon Socket
      Before=multi-user.target
      RequiresMountsFor=/nix/store
      ConditionPathIsReadWrite=/nix/var/nix/daemon-socket

      [Socket]
      ListenStream=/nix/var/nix/daemon-socket/socket

      [Install]
      WantedBy=sockets.target
      END
    '';
  };
  nixFlakes = final.nix;
  nixStable = final.nix;
  nixUnstable = final.nix;
  nss_systemd = nothing "nss-systemd";
  pam = final.linux-pam;
  systemd = import ./systemd.nix { inherit lib take shebangs; };
  systemdMinimal = final.systemd;
  libudev = final.systemd;
  udev = final.systemd;
  # What the root file system has at /lib64 and /usr.
  debian-usr = import ./usr.nix { inherit take; };

  # Formats.
  remarshal = import ./remarshal.nix {
    inherit take python;
    version = "1.3.0";
  };
  remarshal_0_17 = import ./remarshal.nix {
    inherit take python;
    version = "0.17.1";
  };
  xorg =
    lib.genAttrs [
      "fontadobe100dpi"
      "fontadobe75dpi"
      "fontalias"
      "fontbh100dpi"
      "fontbhlucidatypewriter100dpi"
      "fontbhlucidatypewriter75dpi"
      "fontcursormisc"
      "fontmiscmisc"
      "iceauth"
      "mkfontdir"
      "mkfontscale"
      "setxkbmap"
      "xauth"
      "xinit"
      "xf86inputevdev"
      "xf86inputlibinput"
      "xf86videoati"
      "xf86videocirrus"
      "xf86videovesa"
      "xf86videovmware"
      "xinput"
      "xlsclients"
      "xorgserver"
      "xprop"
      "xrandr"
      "xrdb"
      "xrefresh"
      "xset"
      "xsetroot"
    ] nothing
    // {
      # The links to a directory's files, below another.
      lndir = take {
        name = "lndir";
        finish = ''
          cat > bin/lndir <<'END'
          #!${tools.bash}/bin/bash
          PATH=${tools.coreutils}/bin:${tools.findutils}/bin
          [ "$1" = -silent ] && shift
          from=$(realpath -s "$1") to=''${2:-.}
          (cd "$from" && find . -mindepth 1 -type d) | while read -r d; do mkdir -p "$to/$d"; done
          (cd "$from" && find . -mindepth 1 ! -type d) | while read -r f; do ln -s "$from/''${f#./}" "$to/$f"; done
          END
          chmod +x bin/lndir
        '';
      };
    };

  # The services.
  distcc = of "distcc" [ "distcc" ] {
    version = "3.4";
    attributes.meta.mainProgram = "distccd";
  };
  distccMasquerade = take {
    name = "distcc-masq";
    finish = "ln -s ${final.distcc}/bin/distcc bin/gcc";
  };
  gotosocial = standIn "gotosocial" {
    version = "0.17";
    trees = { };
  };
  harmonia = standIn "harmonia" { version = "1.0"; };
  prometheus = of "prometheus" [ "prometheus" "promtool" ] { };

  # Whoever needs this is not replaced yet.
  fetchurl =
    source:
    throw "nothing is fetched for machines that are containers: ${
      toString (source.name or source.url or source.urls or "a source")
    }";

  # dynix as package.nix has it, but that it is compiled already.
  rustPlatform.buildRustPackage = import ./build-rust-package.nix {
    inherit lib;
    inherit (final) stdenvNoCC;
  };
  # The same, compiled (tests/nixos/package.nix).
  compileRustPackage =
    version:
    import ./compile-rust-package.nix {
      inherit lib version;
      inherit (final) stdenvNoCC;
      compiler = import ./compiler.nix {
        inherit lib take;
        shell = final.runtimeShell;
      };
    };
  testers = prev.testers or { } // {
    runNixOSTest = import ./test.nix {
      inherit lib system;
      inherit (final) runCommand;
    };
  };
}
