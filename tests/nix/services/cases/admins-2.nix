# More of the services that public configurations set most: see ../cases.nix.
{
  as,
  pkgs,
  secret,
}:
{
  atticd.services.atticd = {
    enable = true;
    environmentFile = secret;
    settings = {
      listen = "[::]:8080";
      compression.type = "zstd";
      garbage-collection.interval = "12 hours";
    };
  };

  clamav = {
    services.clamav.daemon = {
      enable = true;
      settings = {
        MaxThreads = 4;
        LogTime = true;
        ExcludePath = [
          "^/proc/"
          "^/sys/"
        ];
      };
    };
  };

  fail2ban.services.fail2ban = {
    enable = true;
    ignoreIP = [ "192.168.0.0/16" ];
    jails.nginx.settings = {
      maxretry = 5;
      findtime = 600;
    };
    jails.dovecot.filter = "dovecot[mode=aggressive]";
    jails.files = {
      filter.Definition.failregex = "^<HOST> .* (403|404)";
      settings.logpath = "/var/log/files.log";
    };
    filters.nextcloud.Definition.failregex = "Login failed: .*<HOST>";
    actions.sendmail-common.Definition.actionstart = "";
  };

  geoclue2 = {
    takes = "the names of the sections are values (`desktopID`), and lists within them are joined";
    services.geoclue2 = {
      enable = true;
      appConfig.redshift = {
        isAllowed = true;
        isSystem = true;
      };
    };
    dynamic = as "services.geoclue2.appConfig";
  };

  gitea.services.gitea = {
    enable = true;
    settings = {
      server = {
        DOMAIN = "git.example.org";
        HTTP_PORT = 3002;
      };
      service.DISABLE_REGISTRATION = true;
    };
  };

  gitea-actions-runner.services.gitea-actions-runner.instances.main = {
    enable = true;
    name = "main";
    url = "https://git.example.org";
    tokenFile = secret;
    labels = [ "native:host" ];
    settings = {
      runner.capacity = 2;
      cache.enabled = false;
    };
  };

  grafana.services.grafana = {
    enable = true;
    settings = {
      server = {
        http_addr = "127.0.0.1";
        http_port = 3003;
        domain = "grafana.example.org";
      };
      security = {
        secret_key = "$__file{${secret}}";
        csrf_trusted_origins = [
          "https://a.example.org"
          "https://b.example.org"
        ];
      };
      "auth.anonymous".enabled = true;
    };
  };

  home-assistant.services.home-assistant = {
    enable = true;
    config = {
      homeassistant = {
        name = "Home";
        latitude = "!secret latitude";
        unit_system = "metric";
      };
      frontend.themes = "!include_dir_merge_named themes";
      http = {
        use_x_forwarded_for = true;
        trusted_proxies = [ "127.0.0.1" ];
      };
      automation = [
        {
          alias = "Lights";
          trigger = [
            {
              platform = "sun";
              event = "sunset";
            }
          ];
          action = [ { service = "light.turn_on"; } ];
        }
      ];
    };
  };

  influxdb2.services.influxdb2 = {
    enable = true;
    settings = {
      http-bind-address = "127.0.0.1:8086";
      log-level = "warn";
    };
  };

  jenkins.services.jenkins = {
    enable = true;
    listenAddress = "127.0.0.1";
    port = 8081;
    environment.CASC_JENKINS_CONFIG = "/etc/jenkins.yaml";
    extraJavaOptions = [ "-Xmx512m -Xms64m" ];
    extraOptions = [ "--sessionTimeout=60" ];
  };

  kanidm = {
    services.kanidm.server = {
      enable = true;
      settings = {
        domain = "idm.example.org";
        origin = "https://idm.example.org";
        tls_chain = "/var/lib/acme/idm/fullchain.pem";
        tls_key = "/var/lib/acme/idm/key.pem";
        log_level = "debug";
      };
    };
  };

  llama-cpp.services.llama-cpp = {
    enable = true;
    settings = {
      model = "/var/lib/models/m.gguf";
      ctx-size = 8192;
      flash-attn = "on";
    };
  };

  minecraft-server = {
    services.minecraft-server = {
      enable = true;
      eula = true;
      # The real one is not free.
      package = pkgs.hello;
      declarative = true;
      serverProperties = {
        server-port = 43000;
        difficulty = 3;
        motd = "NixOS";
        white-list = true;
      };
    };
  };

  paperless.services.paperless = {
    enable = true;
    environmentFile = secret;
    settings = {
      PAPERLESS_OCR_LANGUAGE = "deu+eng";
      PAPERLESS_TASK_WORKERS = 2;
    };
  };

  postgresql.services.postgresql = {
    enable = true;
    settings = {
      shared_buffers = "1GB";
      max_connections = 200;
      log_min_duration_statement = 500;
      log_connections = true;
      log_statement = "it's all";
    };
  };

  pipewire.services.pipewire = {
    enable = true;
    extraConfig.pipewire."10-rate"."context.properties"."default.clock.rate" = 48000;
  };

  prometheus.services.prometheus = {
    enable = true;
    globalConfig.scrape_interval = "30s";
    scrapeConfigs = [
      {
        job_name = "node";
        static_configs = [ { targets = [ "127.0.0.1:9100" ]; } ];
        relabel_configs = [
          {
            source_labels = [ "__address__" ];
            target_label = "instance";
          }
        ];
      }
    ];
    alertmanagers = [ { static_configs = [ { targets = [ "127.0.0.1:9093" ]; } ]; } ];
    ruleFiles = [ (pkgs.writeText "node.rules" "groups: []") ];
    rules = [ "groups: [ { name: up, rules: [ { alert: Down, expr: up == 0 } ] } ]" ];
  };

  searx.services.searx = {
    enable = true;
    environmentFile = secret;
    settings = {
      server = {
        port = 8888;
        bind_address = "127.0.0.1";
        secret_key = "$SEARX_SECRET_KEY";
      };
      search.safe_search = 1;
    };
  };

  unbound.services.unbound = {
    enable = true;
    settings = {
      server = {
        num-threads = 2;
        cache-max-ttl = 3600;
        prefetch = true;
      };
      forward-zone = [
        {
          name = ".";
          forward-addr = [
            "9.9.9.9"
            "1.1.1.1"
          ];
        }
      ];
    };
  };

  victoriametrics = {
    services.victoriametrics = {
      enable = true;
      prometheusConfig.scrape_configs = [
        {
          job_name = "node";
          static_configs = [ { targets = [ "127.0.0.1:9100" ]; } ];
        }
      ];
    };
  };

  hosts.module.networking.hosts = {
    "192.0.2.7" = [ "printer.example.org" ];
    "2001:db8::1" = [
      "a.example.org"
      "a"
    ];
  };

  nix.module.nix.settings = {
    max-jobs = 4;
    keep-outputs = true;
    trusted-users = [ "@wheel" ];
    extra-substituters = [ "https://cache.example.org" ];
  };

  nfs.module.services.nfs = {
    server = {
      enable = true;
      exports = "/srv 192.0.2.0/24(rw)";
      lockdPort = 4001;
    };
    settings = {
      nfsd.vers3 = false;
      mountd.manage-gids = true;
    };
  };
}
