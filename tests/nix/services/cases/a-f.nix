# Services a to f: see ../cases.nix.
{
  as,
  pkgs,
  secret,
}:
{
  alertmanager = {
    services.prometheus.alertmanager = {
      enable = true;
      configuration = {
        route = {
          receiver = "ops";
          group_wait = "30s";
          routes = [ ];
        };
        receivers = [
          {
            name = "ops";
            webhook_configs = [ { url = "http://127.0.0.1:9099/"; } ];
          }
        ];
      };
    };
    dynamic = as "services.prometheus.alertmanager.configuration";
  };

  aria2.services.aria2 = {
    enable = true;
    rpcSecretFile = secret;
    settings = {
      max-concurrent-downloads = 3;
      seed-ratio = 1.5;
    };
  };

  auto-cpufreq.services.auto-cpufreq = {
    enable = true;
    settings = {
      battery.governor = "powersave";
      charger = {
        governor = "performance";
        turbo = "auto";
      };
    };
  };

  autobrr.services.autobrr = {
    enable = true;
    secretFile = secret;
    settings.logLevel = "DEBUG";
  };

  blocky.services.blocky = {
    enable = true;
    settings = {
      upstreams.groups.default = [
        "46.182.19.48"
        "80.241.218.68"
      ];
      blocking = {
        denylists.ads = [ "https://raw.githubusercontent.com/StevenBlack/hosts/master/hosts" ];
        clientGroupsBlock.default = [ "ads" ];
      };
      ports.dns = 53;
    };
  };

  matrix-conduit = {
    services.matrix-conduit = {
      enable = true;
      settings.global = {
        server_name = "example.org";
        allow_federation = false;
      };
    };
  };

  dendrite.services.dendrite = {
    enable = true;
    settings.global = {
      server_name = "example.org";
      private_key = "$CREDENTIALS_DIRECTORY/private_key";
    };
    loadCredential = [ "private_key:${secret}" ];
  };

  dnscrypt-proxy.services.dnscrypt-proxy = {
    enable = true;
    upstreamDefaults = false;
    settings = {
      listen_addresses = [ "127.0.0.1:53" ];
      require_dnssec = true;
      sources.public-resolvers = {
        urls = [ "https://download.dnscrypt.info/resolvers-list/v2/public-resolvers.md" ];
        cache_file = "public-resolvers.md";
        minisign_key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
        refresh_delay = 72;
      };
    };
  };

  dnsmasq.services.dnsmasq = {
    enable = true;
    resolveLocalQueries = false;
    settings = {
      domain-needed = true;
      bogus-priv = false;
      cache-size = 500;
      dhcp-range = [ "192.168.0.2,192.168.0.254" ];
      server = [
        "9.9.9.9"
        "1.1.1.1"
      ];
    };
  };

  doh-server.services.doh-server = {
    enable = true;
    settings = {
      listen = [ ":8153" ];
      upstream = [ "udp:127.0.0.1:53" ];
    };
  };

  ergochat.services.ergochat = {
    enable = true;
    settings.network.name = "Example";
  };

  evcc.services.evcc = {
    enable = true;
    settings = {
      network.port = 7070;
      log = "debug";
      loadpoints = [
        {
          title = "Garage";
          mode = "pv";
        }
      ];
    };
  };

  evdevremapkeys.services.evdevremapkeys = {
    enable = true;
    settings.devices = [
      {
        input_fn = "/dev/input/event3";
        output_name = "remapped";
        remappings.KEY_CAPSLOCK = [ "KEY_ESC" ];
      }
    ];
  };

  frp = {
    services.frp.instances.server = {
      enable = true;
      role = "server";
      settings = {
        bindPort = 7000;
        auth.method = "token";
      };
    };
    dynamic = as "services.frp.instances.server.settings";
  };

  autosuspend.services.autosuspend = {
    enable = true;
    settings = {
      interval = 30;
      idle_time = 120;
    };
    checks.Ping.hosts = "192.168.0.7";
  };
  bifrost.services.bifrost = {
    enable = true;
    settings.providers = [
      {
        name = "openai";
        enabled = true;
      }
    ];
  };
  cliproxyapi.takes = "nothing here: the JSON stands in the start script, where jq fills in secrets; nixpkgs to name a file there";
  cliproxyapi.services.cliproxyapi = {
    enable = true;
    settings = {
      port = 8317;
      api-keys = [ { _secret = secret; } ];
    };
  };
  dovecot2.services.dovecot2 = {
    enable = true;
    enablePAM = true;
    settings = {
      dovecot_config_version = "2.4.1";
      dovecot_storage_version = "2.4.1";
      protocols = {
        imap = true;
        lmtp = true;
      };
      mail_driver = "maildir";
      mail_path = "~/mail";
      "namespace inbox".separator = "/";
      service = [
        {
          _section.name = "imap";
          process_min_avail = 1;
          "inet_listener imap".port = 31143;
        }
        {
          _section.name = "lmtp";
          user = "dovemail";
          "unix_listener lmtp".mode = "0660";
        }
      ];
    };
  };

  dufs.services.dufs = {
    enable = true;
    settings = {
      serve-path = "/srv/files";
      compress = "low";
    };
  };
  evremap.services.evremap = {
    enable = true;
    settings = {
      device_name = "AT Translated Set 2 keyboard";
      remap = [
        {
          input = [
            "KEY_LEFTALT"
            "KEY_UP"
          ];
          output = [ "KEY_PAGEUP" ];
        }
      ];
    };
  };
}
