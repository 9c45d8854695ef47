# Services g to n: see ../cases.nix.
{
  as,
  pkgs,
  secret,
}:
{
  garage.services.garage = {
    enable = true;
    package = pkgs.garage;
    settings = {
      replication_factor = 1;
      rpc_bind_addr = "[::]:3901";
      s3_api = {
        api_bind_addr = "[::]:3900";
        s3_region = "garage";
      };
    };
  };

  gatus.services.gatus = {
    enable = true;
    settings = {
      web.port = 8080;
      endpoints = [
        {
          name = "website";
          url = "https://example.org/health";
          interval = "5m";
          conditions = [
            "[STATUS] == 200"
            "[RESPONSE_TIME] < 300"
          ];
        }
      ];
    };
  };

  glance.takes = "nothing here: the JSON stands in a script that runs with `+`, outside of what binds reach; nixpkgs to name a file there";
  glance.services.glance = {
    enable = true;
    settings.server.port = 5678;
  };

  go2rtc.services.go2rtc = {
    enable = true;
    settings = {
      streams.cam1 = "rtsp://192.168.1.123/stream";
      api.listen = "127.0.0.1:1984";
    };
  };

  goeland.services.goeland = {
    enable = true;
    settings = {
      loglevel = "info";
      email = {
        host = "smtp.example.org";
        port = 25;
      };
      pipes.news = {
        source = "feed";
        destination = "email";
      };
    };
  };

  gonic.services.gonic = {
    enable = true;
    settings = {
      music-path = [ "/srv/music" ];
      podcast-path = "/srv/podcasts";
      playlists-path = "/srv/playlists";
      scan-interval = 60;
    };
  };

  goss.services.goss = {
    enable = true;
    settings.addr."tcp://localhost:8080" = {
      reachable = true;
      local-address = "127.0.0.1";
    };
  };

  gotify = {
    services.gotify = {
      enable = true;
      environment = {
        GOTIFY_SERVER_PORT = 8080;
        GOTIFY_DATABASE_DIALECT = "sqlite3";
      };
    };
    dynamic = as "services.gotify.environment";
  };

  greetd = {
    services.greetd = {
      enable = true;
      settings.default_session.command = "${pkgs.greetd}/bin/agreety --cmd sway";
    };
    dynamic.units."greetd.service" = {
      onChange = "restart";
      privateMounts = true;
    };
  };

  immich-public-proxy.services.immich-public-proxy = {
    enable = true;
    immichUrl = "http://127.0.0.1:2283";
    settings.ipp.responseHeaders."Cache-Control" = "public, max-age=2592000";
  };

  isso.services.isso = {
    enable = true;
    settings = {
      general.host = "http://localhost";
      guard.enabled = true;
    };
  };

  karma.services.karma = {
    enable = true;
    settings = {
      listen.port = 8081;
      alertmanager.servers = [
        {
          name = "prod";
          uri = "http://alertmanager.example.com";
        }
      ];
    };
  };

  keyd = {
    services.keyd = {
      enable = true;
      keyboards.default.settings.main.capslock = "overload(control, esc)";
    };
  };

  legit.services.legit = {
    enable = true;
    settings.meta.title = "Repositories";
  };

  loki = {
    services.loki = {
      enable = true;
      configuration = {
        auth_enabled = false;
        server.http_listen_port = 3100;
        common = {
          path_prefix = "/var/lib/loki";
          replication_factor = 1;
          ring.kvstore.store = "inmemory";
        };
      };
    };
  };

  lokinet.services.lokinet = {
    enable = true;
    settings.dns.upstream = [
      "1.1.1.1"
      "8.8.8.8"
    ];
  };

  mackerel-agent.services.mackerel-agent = {
    enable = true;
    apiKeyFile = secret;
    settings.verbose = false;
  };

  mediamtx.services.mediamtx = {
    enable = true;
    settings = {
      logLevel = "info";
      paths.cam.source = "rtsp://192.168.1.20/stream";
    };
  };

  merecat.services.merecat = {
    enable = true;
    settings = {
      hostname = "localhost";
      port = 8080;
      virtual-host = true;
      directory = "/srv/www";
    };
  };

  meshcentral.services.meshcentral = {
    enable = true;
    settings = {
      settings = {
        Cert = "meshcentral.example.com";
        WANonly = true;
        Port = 4430;
      };
      domains."".certUrl = "https://meshcentral.example.com/";
    };
  };

  microbin.services.microbin = {
    enable = true;
    settings = {
      MICROBIN_PORT = 8081;
      MICROBIN_HIDE_LOGO = false;
    };
  };

  mimir = {
    services.mimir = {
      enable = true;
      configuration = {
        multitenancy_enabled = false;
        server.http_listen_port = 9009;
        ingester.ring.replication_factor = 1;
      };
    };
  };

  molly-brown.services.molly-brown = {
    enable = true;
    hostName = "gemini.example.org";
    certPath = "/var/lib/acme/example.org/cert.pem";
    keyPath = "/var/lib/acme/example.org/key.pem";
    docBase = "/var/lib/gemini";
    settings.DirectoryListing = true;
  };

  mollysocket.services.mollysocket = {
    enable = true;
    settings.allowed_endpoints = [ "https://ntfy.sh" ];
  };

  mopidy.services.mopidy = {
    enable = true;
    settings.mpd = {
      enabled = true;
      hostname = "::";
    };
  };

  mympd.takes = "a file a key, which the start script writes with `echo`; nixpkgs to name files";
  mympd.services.mympd = {
    enable = true;
    settings = {
      http_port = 8080;
      loglevel = 5;
    };
  };

  nats.services.nats = {
    enable = true;
    jetstream = true;
    settings.max_payload = 1048576;
  };

  navidrome.services.navidrome = {
    enable = true;
    settings = {
      MusicFolder = "/srv/music";
      ScanSchedule = "1h";
    };
  };

  nostr-rs-relay.services.nostr-rs-relay = {
    enable = true;
    settings.info = {
      name = "relay";
      description = "A relay.";
    };
  };

  ntfy-sh.services.ntfy-sh = {
    enable = true;
    settings = {
      base-url = "https://ntfy.example.org";
      behind-proxy = true;
    };
  };

  ntpd-rs.services.ntpd-rs = {
    enable = true;
    settings.synchronization.minimum-agreeing-sources = 2;
  };

  knot.services.knot = {
    enable = true;
    settings = {
      server.listen = [ "127.0.0.1@53" ];
      log.syslog.any = "info";
      zone."example.org".file = "/var/lib/knot/example.org.zone";
    };
  };
  minidlna.services.minidlna = {
    enable = true;
    settings = {
      media_dir = [ "/srv/media" ];
      notify_interval = 60;
      inotify = "yes";
    };
  };

  newt.services.newt = {
    enable = true;
    environmentFile = secret;
    settings = {
      endpoint = "pangolin.example.com";
      id = "8yfsghj438a20ol";
      accept-clients = true;
    };
  };
}
