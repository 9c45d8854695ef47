# The services that run in the test machine (tests/machine/services), configured so that a test sees their settings.
#
# As in cases.nix; `machine` has what NixOS modules would have put there besides: users (sysusers.d), directories
# (tmpfiles.d), files. The machine has the loopback interface only.
{ lib, pkgs }:
{
  alertmanager = {
    services.prometheus.alertmanager = {
      enable = true;
      listenAddress = "127.0.0.1";
      extraFlags = [ "--cluster.listen-address=" ];
      configuration = {
        route = {
          receiver = "nobody";
          group_wait = "30s";
        };
        receivers = [ { name = "nobody"; } ];
      };
    };
    dynamic.options = [ "services.prometheus.alertmanager.configuration" ];
    units = [ "alertmanager.service" ];
  };

  dnscrypt-proxy = {
    services.dnscrypt-proxy = {
      enable = true;
      upstreamDefaults = false;
      settings = {
        cloak_ttl = 600;
        cloaking_rules = "${pkgs.writeText "cloaking-rules.txt" "dynix.example 192.0.2.7\n"}";
        listen_addresses = [ "127.0.0.1:53" ];
        netprobe_timeout = 0;
        offline_mode = true;
      };
    };
    dynamic = {
      check.command = [
        "/usr/sbin/dnscrypt-proxy"
        "-check"
        "-config"
        "{{ files[\"dnscrypt-proxy.toml\"] }}"
      ];
      units."dnscrypt-proxy.service" = {
        deadline = 20;
        settle = 0.5;
      };
    };
    units = [ "dnscrypt-proxy.service" ];
  };

  dnsmasq = {
    services.dnsmasq = {
      enable = true;
      resolveLocalQueries = false;
      settings = {
        port = 5300;
        listen-address = "127.0.0.1";
        resolv-file = "/dev/null";
        address = [
          "/dynix.example/192.0.2.7"
          "/other.example/192.0.2.8"
        ];
        local-ttl = 600;
      };
    };
    units = [ "dnsmasq.service" ];
    machine.users = ''
      u dnsmasq - "Dnsmasq daemon user"
    '';
  };

  nats = {
    services.nats = {
      enable = true;
      settings = {
        host = "127.0.0.1";
        http_port = 8222;
        max_payload = 1048576;
      };
    };
    # As its documentation has it, most settings come with a reload; the others it refuses.
    dynamic.units."nats.service".onChange = "reload";
    units = [ "nats.service" ];
    machine.users = ''
      u nats - "NATS daemon user" /var/lib/nats
    '';
  };

  pgbouncer = {
    services.pgbouncer = {
      enable = true;
      settings.pgbouncer = {
        listen_addr = "127.0.0.1";
        auth_type = "any";
        admin_users = "admin";
        max_client_conn = 200;
      };
    };
    # As NixOS itself does, with reloadTriggers.
    dynamic.units."pgbouncer.service".onChange = "reload";
    units = [ "pgbouncer.service" ];
    machine.users = ''
      u pgbouncer - "PgBouncer service user" /var/lib/pgbouncer
    '';
  };

  radicale = {
    services.radicale = {
      enable = true;
      settings = {
        auth.type = "none";
        headers.X-Greeting = "static";
        server = {
          hosts = [ "127.0.0.1:5232" ];
          max_connections = 8;
        };
        storage.filesystem_folder = "/var/lib/radicale/collections";
      };
    };
    dynamic = {
      health = {
        probe.tcp = "127.0.0.1:5232";
        deadline = 15;
      };
      units."radicale.service".deadline = 20;
    };
    units = [ "radicale.service" ];
    machine.users = ''
      u radicale - "Radicale" /var/lib/radicale
    '';
  };

  rsyncd = {
    services.rsyncd = {
      enable = true;
      port = 8730;
      settings = {
        globalSection.address = "127.0.0.1";
        sections.files = {
          comment = "whole area";
          path = "/srv";
        };
      };
    };
    # rsync@.service, which the socket would start, is defined as well.
    dynamic.units."rsync.service" = { };
    units = [ "rsync.service" ];
  };

  snapserver = {
    services.snapserver = {
      enable = true;
      settings = {
        stream.source = [ "pipe:///run/snapserver/fifo?name=morning" ];
        http = {
          enabled = true;
          bind_to_address = "127.0.0.1";
          doc_root = "/srv";
        };
        tcp-streaming.bind_to_address = "127.0.0.1";
      };
    };
    units = [ "snapserver.service" ];
    # Debian's package makes it, for a user that is not dynamic.
    machine.absent = [ "/var/lib/snapserver" ];
    # It asks for its dynamic user by name, which nss-systemd would know; that is not here.
    machine.users = ''
      u snapserver
    '';
  };

  tinyproxy = {
    services.tinyproxy = {
      enable = true;
      settings = {
        Port = 8888;
        Allow = "127.0.0.1";
        # In quotes, as its syntax has it.
        ViaProxyName = ''"morning"'';
      };
    };
    units = [ "tinyproxy.service" ];
    machine.users = ''
      u tinyproxy
    '';
  };

  postgresql = {
    services.postgresql = {
      enable = true;
      # Debian has a cluster where NixOS has its own.
      dataDir = "/var/lib/cluster";
      settings = {
        listen_addresses = lib.mkForce "127.0.0.1";
        log_min_duration_statement = 500;
        max_connections = 20;
        shared_buffers = "4MB";
      };
    };
    units = [
      "postgresql.service"
      "postgresql-setup.service"
    ];
    machine = {
      # Debian's would start its own cluster.
      links."/etc/systemd/system-generators/postgresql-generator" = "/dev/null";
      directories = ''
        d /var/lib/cluster 0750 postgres postgres
      '';
    };
  };

  prometheus-node-exporter = {
    services.prometheus.exporters.node = {
      enable = true;
      listenAddress = "127.0.0.1";
      disabledCollectors = [ "timex" ];
    };
    units = [ "prometheus-node-exporter.service" ];
    machine.users = ''
      u node-exporter
    '';
  };

  prometheus-process-exporter = {
    services.prometheus.exporters.process = {
      enable = true;
      listenAddress = "127.0.0.1";
      settings.process_names = [
        {
          name = "built";
          comm = [ "systemd" ];
        }
      ];
    };
    units = [ "prometheus-process-exporter.service" ];
    machine.users = ''
      u process-exporter
    '';
  };

  redis = {
    services.redis.servers.cache = {
      enable = true;
      port = 6380;
      settings.maxmemory-policy = "allkeys-lru";
    };
    units = [ "redis-cache.service" ];
    machine.users = ''
      u redis-cache
    '';
  };

  samba = {
    services.samba = {
      enable = true;
      nmbd.enable = false;
      winbindd.enable = false;
      settings = {
        global = {
          interfaces = "lo";
          "map to guest" = "bad user";
        };
        # Sorts before `global`.
        docs = {
          path = "/usr/share/doc";
          comment = "built";
          "guest ok" = "yes";
        };
      };
    };
    units = [ "samba-smbd.service" ];
    machine.directories = ''
      d /var/lib/samba/private
      d /var/log/samba
      d /var/cache/samba
      d /run/samba
    '';
  };

  unbound = {
    services.unbound = {
      enable = true;
      checkconf = false;
      enableRootTrustAnchor = false;
      settings.server = {
        interface = [ "127.0.0.1@5353" ];
        tls-cert-bundle = ''""'';
        local-zone = [ "dynix.example. static" ];
        local-data = [ "'dynix.example. 600 IN A 192.0.2.7'" ];
      };
    };
    units = [ "unbound.service" ];
  };
}
