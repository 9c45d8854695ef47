# What the modules of the twin test's servers name: Debian's servers where there are such, else a program that does
# nothing, under the name and with the words of the real one.
{
  of,
  take,
  tools,
  nothing,
  lib,
}:
let
  # Runs until it is stopped, in the foreground, and tells systemd that it is ready where that waits for it.
  idle = ''
    #!${tools.bash}/bin/bash
    PATH=${tools.coreutils}/bin
    [ -z "''${NOTIFY_SOCKET-}" ] || /run/current-system/systemd/bin/systemd-notify --ready
    sleep infinity &
    wait
  '';
  # The same in the background, with a file that names its process.
  daemon = file: ''
    #!${tools.bash}/bin/bash
    PATH=${tools.coreutils}/bin
    case " $* " in *" --rebind "*) exit ;; esac
    sleep infinity &
    echo $! > ${file}
  '';
  # Ends at once and well.
  done = "#!${tools.bash}/bin/bash\n";
  programs =
    texts:
    lib.concatStrings (
      lib.mapAttrsToList (name: text: ''
        cat > bin/${name} <<'END'
        ${text}END
        chmod +x bin/${name}
      '') texts
    );
  idler =
    name: names: more:
    take (
      {
        inherit name;
        finish =
          programs (lib.genAttrs names (_: idle)) + "mkdir -p etc; ln -s bin sbin\n" + more.finish or "";
      }
      // removeAttrs more [ "finish" ]
    );
  withData = package: package // { data = package; };
  nginx = of "nginx" [ "nginx" ] {
    finish = "mkdir -p conf; cp /etc/nginx/mime.types /etc/nginx/fastcgi.conf /etc/nginx/uwsgi_params conf/";
    attributes.modules = [ ];
  };
in
{
  # Debian's.
  caddy = of "caddy" [ "caddy" ] {
    version = "2.6.2";
    # It makes its home directory, which is to be none where Nix builds.
    finish = ''
      mkdir -p libexec lib/systemd/system
      cp /usr/lib/systemd/system/caddy.service lib/systemd/system/
      mv bin/caddy libexec/
      {
        printf '#!%s\n[ "$HOME" != /homeless-shelter ] || export HOME="$TMPDIR"\n' ${tools.bash}/bin/bash
        printf 'exec %s/libexec/caddy "$@"\n' "$out"
      } > bin/caddy
      chmod +x bin/caddy
    '';
  };
  iptables = of "iptables" [ "iptables" ] {
    # Debian chooses between the kernel's interfaces by links in /etc.
    finish = "for ip in iptables ip6tables; do for what in '' -save -restore; do ln -s xtables-nft-multi bin/$ip$what; done; done; ln -s bin sbin";
  };
  nftables = of "nftables" [ "nftables" ] { };
  inherit nginx;
  nginxStable = nginx;
  redis = of "redis" [ "redis-server" "redis-tools" ] { };

  # What nginx's text names, and what it goes through at a build.
  mailcap = take {
    name = "mailcap";
    finish = "mkdir -p etc/nginx; cp /etc/nginx/mime.types etc/nginx/";
  };
  gixy = take {
    name = "gixy";
    finish = programs { gixy = done; };
  };
  nginx-config-formatter = take {
    name = "nginx-config-formatter";
    finish = programs { nginxfmt = done; };
  };

  # Programs that do nothing.
  dhcpcd = take {
    name = "dhcpcd";
    finish = programs { dhcpcd = daemon "/run/dhcpcd.pid"; } + "ln -s bin sbin\n";
  };
  deluge-2_x = idler "deluge" [ ] {
    version = "2.0.3";
    # The real one writes its file anew, too: it can be copied over then.
    finish = programs {
      deluged = ''
        #!${tools.bash}/bin/bash
        PATH=${tools.coreutils}/bin
        chmod u+w "''${!#}/core.conf"
        sleep infinity &
        wait
      '';
    };
  };
  fail2ban = idler "fail2ban" [ ] {
    finish = ''
      ${programs {
        fail2ban-server = ''
          #!${tools.bash}/bin/bash
          PATH=${tools.coreutils}/bin
          case " $* " in *" reload "* | *" stop "*) exit ;; esac
          sleep infinity &
          wait
        '';
      }}
      mkdir -p etc/fail2ban/action.d etc/fail2ban/filter.d
      touch etc/fail2ban/{fail2ban,jail,paths-common}.conf etc/fail2ban/action.d/a.conf etc/fail2ban/filter.d/a.conf
    '';
  };
  gitea = withData (
    idler "gitea" [ ] {
      version = "1.12";
      finish = programs {
        gitea = ''
          #!${tools.bash}/bin/bash
          PATH=${tools.coreutils}/bin
          case $1 in generate) echo secret; exit ;; web) ;; *) exit ;; esac
          sleep infinity &
          wait
        '';
      };
    }
  );
  home-assistant = idler "home-assistant" [ "hass" ] { attributes.availableComponents = [ ]; };
  openvpn = idler "openvpn" [ "openvpn" ] { };
  php = idler "php" [ "php-fpm" ] { finish = "touch etc/php.ini"; };
  picom = idler "picom" [ "picom" ] { };
  prometheus-mikrotik-exporter = idler "mikrotik-exporter" [ "mikrotik-exporter" ] { };
  prometheus-snmp-exporter = idler "snmp-exporter" [ "snmp_exporter" ] { };
  syncthing = idler "syncthing" [ "syncthing" ] {
    finish = ''
      mkdir -p lib/systemd/system
      printf '[Service]\nExecStart=/bin/sh -c :\n' > lib/systemd/system/syncthing@.service
      cp lib/systemd/system/syncthing@.service lib/systemd/system/syncthing-resume.service
    '';
  };
  transmission = idler "transmission" [ "transmission-daemon" ] { };
  wpa_supplicant = idler "wpa_supplicant" [ "wpa_supplicant" ] { };
  docker = idler "docker" [ ] {
    finish =
      programs {
        docker = ''
          #!${tools.bash}/bin/bash
          PATH=${tools.coreutils}/bin
          [ "$1" = run ] || exit 0
          sleep infinity &
          wait
        '';
        dockerd = idle;
      }
      + ''
        mkdir -p etc/systemd/system
        printf '[Service]\nType=notify\n' > etc/systemd/system/docker.service
        printf '[Socket]\nListenStream=/run/docker.sock\n' > etc/systemd/system/docker.socket
      '';
  };

  # Checks a keyboard's layout at a build.
  xkbvalidate = take {
    name = "xkbvalidate";
    finish = programs { xkbvalidate = done; };
  };
}
