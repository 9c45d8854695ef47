# Services o to z: see ../cases.nix.
{
  as,
  pkgs,
  secret,
}:
{
  oink.services.oink = {
    enable = true;
    apiKeyFile = secret;
    secretApiKeyFile = secret;
    settings.ttl = 1200;
    domains = [
      {
        domain = "example.org";
        subdomain = "";
      }
    ];
  };

  opentelemetry-collector.services.opentelemetry-collector = {
    enable = true;
    package = pkgs.opentelemetry-collector;
    settings = {
      receivers.otlp.protocols.grpc.endpoint = "127.0.0.1:4317";
      exporters.debug.verbosity = "basic";
      service.pipelines.traces = {
        receivers = [ "otlp" ];
        exporters = [ "debug" ];
      };
    };
  };

  pdns-recursor.services.pdns-recursor = {
    enable = true;
    settings.logging.loglevel = 6;
  };

  pgscv.services.pgscv = {
    enable = true;
    settings = {
      listen_address = "127.0.0.1:9890";
      services.postgres.service_type = "postgres";
    };
  };

  phpfpm.services.phpfpm = {
    settings.emergency_restart_threshold = 10;
    pools = {
      cloud = {
        user = "cloud";
        phpEnv.PATH = "/run/current-system/sw/bin";
        settings = {
          pm = "dynamic";
          "pm.max_children" = 32;
          "pm.start_servers" = 2;
          "pm.min_spare_servers" = 2;
          "pm.max_spare_servers" = 4;
          catch_workers_output = true;
        };
      };
      wiki = {
        user = "wiki";
        settings = {
          pm = "ondemand";
          "pm.max_children" = 8;
        };
      };
    };
  };

  pomerium.services.pomerium = {
    enable = true;
    settings = {
      address = ":443";
      routes = [
        {
          from = "https://a.example.org";
          to = "http://127.0.0.1:8000";
        }
      ];
    };
  };

  prosody-filer.services.prosody-filer = {
    enable = true;
    settings = {
      secret = "mysecret";
      storeDir = "/srv/prosody-upload";
    };
  };

  qdrant.services.qdrant = {
    enable = true;
    settings.service.http_port = 6335;
  };

  radicale.services.radicale = {
    enable = true;
    settings = {
      server.hosts = [
        "0.0.0.0:5232"
        "[::]:5232"
      ];
      auth = {
        type = "htpasswd";
        htpasswd_filename = "/etc/radicale/users";
        htpasswd_encryption = "bcrypt";
      };
      storage.filesystem_folder = "/var/lib/radicale/collections";
    };
  };

  readeck.services.readeck = {
    enable = true;
    settings = {
      main.log_level = "debug";
      server.port = 9000;
    };
  };

  realm = {
    services.realm = {
      enable = true;
      config = {
        log.level = "warn";
        network.use_udp = true;
        endpoints = [
          {
            listen = "0.0.0.0:5000";
            remote = "1.1.1.1:443";
          }
        ];
      };
    };
  };

  recyclarr = {
    takes = "nothing here: the JSON stands in the start script, where jq fills in secrets; nixpkgs to name a file there";
    services.recyclarr = {
      enable = true;
      configuration.radarr.main = {
        base_url = "http://localhost:7878";
        api_key._secret = secret;
      };
    };
  };

  renovate.services.renovate = {
    enable = true;
    settings = {
      platform = "gitea";
      endpoint = "https://git.example.com";
      gitAuthor = "Renovate <renovate@example.com>";
    };
  };

  rimgo.services.rimgo = {
    enable = true;
    settings = {
      PORT = 3001;
      FORCE_WEBP = "1";
    };
  };

  rkvm = {
    services.rkvm.server = {
      enable = true;
      settings = {
        listen = "0.0.0.0:5258";
        password = "123456789";
      };
    };
    dynamic = as "services.rkvm.server.settings";
  };

  rsyncd.services.rsyncd = {
    enable = true;
    settings = {
      globalSection = {
        address = "127.0.0.1";
        "max connections" = 4;
        "use chroot" = true;
      };
      sections.ftp = {
        comment = "whole ftp area";
        path = "/var/ftp/./pub";
      };
    };
  };

  sing-box.takes = "nothing here: the JSON stands in a script that runs with `+`, outside of what binds reach; nixpkgs to name a file there";
  sing-box.services.sing-box = {
    enable = true;
    settings = {
      log.level = "info";
      inbounds = [
        {
          type = "mixed";
          tag = "in";
          listen = "127.0.0.1";
          listen_port = 1080;
        }
      ];
    };
  };

  snapserver.services.snapserver = {
    enable = true;
    settings.stream = {
      source = [ "pipe:///run/snapserver/fifo?name=default" ];
      buffer = 1000;
    };
  };

  sonic-server.services.sonic-server = {
    enable = true;
    settings = {
      server.log_level = "debug";
      channel.inet = "[::1]:1491";
    };
  };

  spotifyd.services.spotifyd = {
    enable = true;
    settings.global = {
      bitrate = 320;
      device_name = "machine";
    };
  };

  sshwifty.services.sshwifty = {
    enable = true;
    settings = {
      HostName = "";
      Servers = [
        {
          ListenInterface = "127.0.0.1";
          ListenPort = 8182;
        }
      ];
    };
  };

  static-web-server = {
    services.static-web-server = {
      enable = true;
      root = "/srv/www";
      configuration.general = {
        directory-listing = true;
        log-level = "error";
      };
    };
  };

  stubby.services.stubby = {
    enable = true;
    settings = {
      resolution_type = "GETDNS_RESOLUTION_STUB";
      listen_addresses = [ "127.0.0.1" ];
      idle_timeout = 10000;
      upstream_recursive_servers = [
        {
          address_data = "158.64.1.29";
          tls_auth_name = "kaitain.restena.lu";
        }
      ];
    };
  };

  swapspace.services.swapspace = {
    enable = true;
    settings.freetarget = 40;
  };

  telegraf = {
    services.telegraf = {
      enable = true;
      extraConfig = {
        agent.interval = "10s";
        inputs.statsd.service_address = ":8125";
        outputs.influxdb.urls = [ "http://localhost:8086" ];
      };
    };
  };

  teleport = {
    services.teleport = {
      enable = true;
      settings = {
        teleport = {
          nodename = "client";
          log.severity = "DEBUG";
        };
        ssh_service.enabled = true;
        auth_service.enabled = false;
      };
    };
    dynamic.units."teleport.service".privateMounts = true;
  };

  tempo.services.tempo = {
    enable = true;
    settings = {
      server.http_listen_port = 3200;
      storage.trace = {
        backend = "local";
        local.path = "/var/lib/tempo/blocks";
      };
    };
  };

  tinyproxy.services.tinyproxy = {
    enable = true;
    settings = {
      Timeout = 600;
      Allow = "127.0.0.1";
      Anonymous = [
        ''"Host"''
        ''"Authorization"''
      ];
      DisableViaHeader = true;
    };
  };

  tlp.services.tlp = {
    enable = true;
    settings = {
      START_CHARGE_THRESH_BAT0 = 75;
      USB_AUTOSUSPEND = 1;
    };
  };

  ulogd.services.ulogd = {
    enable = true;
    settings = {
      global.stack = [ "log1:NFLOG,base1:BASE,ifi1:IFINDEX,ip2str1:IP2STR,print1:PRINTPKT,emu1:LOGEMU" ];
      log1.group = 2;
      emu1 = {
        sync = 1;
        file = "/var/log/ulogd_pkts.log";
      };
    };
  };

  uptime-kuma.services.uptime-kuma = {
    enable = true;
    settings.PORT = "4000";
  };

  v2ray = {
    services.v2ray = {
      enable = true;
      config = {
        inbounds = [
          {
            listen = "127.0.0.1";
            port = 1080;
            protocol = "http";
          }
        ];
        outbounds = [ { protocol = "freedom"; } ];
      };
    };
  };

  vector.services.vector = {
    enable = true;
    settings = {
      sources.journal.type = "journald";
      sinks.out = {
        type = "console";
        inputs = [ "journal" ];
        encoding.codec = "json";
      };
    };
  };

  veilid.services.veilid = {
    enable = true;
    settings.core.network.upnp = false;
  };

  vikunja.services.vikunja = {
    enable = true;
    frontendScheme = "https";
    frontendHostname = "todo.example.org";
    settings.service.enableregistration = false;
  };

  wastebin.services.wastebin = {
    enable = true;
    settings.WASTEBIN_TITLE = "A pastebin";
  };

  webdav.services.webdav = {
    enable = true;
    settings = {
      address = "127.0.0.1";
      port = 8080;
      directory = "/srv/public";
      permissions = "R";
    };
  };

  xmpp-alerts = {
    services.prometheus.xmpp-alerts = {
      enable = true;
      settings = {
        jid = "alerts@example.org";
        to_jid = "ops@example.org";
        listen_port = 9199;
      };
    };
    dynamic = as "services.prometheus.xmpp-alerts.settings";
  };

  xray.services.xray = {
    enable = true;
    settings = {
      inbounds = [
        {
          listen = "127.0.0.1";
          port = 1080;
          protocol = "http";
        }
      ];
      outbounds = [ { protocol = "freedom"; } ];
    };
  };

  yggdrasil.services.yggdrasil = {
    enable = true;
    settings = {
      Peers = [ "tcp://192.0.2.1:12345" ];
      IfName = "none";
    };
  };

  zigbee2mqtt.services.zigbee2mqtt = {
    enable = true;
    settings = {
      serial.port = "/dev/ttyACM1";
      advanced.log_level = "warning";
    };
  };

  zrepl.services.zrepl = {
    enable = true;
    settings.jobs = [
      {
        name = "snap";
        type = "snap";
        filesystems."tank<" = true;
      }
    ];
  };

  pgbouncer.services.pgbouncer = {
    enable = true;
    settings = {
      databases.app = "host=127.0.0.1 port=5432";
      pgbouncer = {
        listen_addr = "127.0.0.1";
        max_client_conn = 200;
        auth_type = "any";
      };
    };
  };
}
