# The services that public configurations set most: see ../cases.nix.
{
  as,
  pkgs,
  secret,
}:
{
  anubis = {
    services.anubis.instances.web.settings = {
      TARGET = "http://127.0.0.1:8000";
      DIFFICULTY = 5;
    };
  };

  authelia = {
    services.authelia.instances.main = {
      enable = true;
      secrets = {
        storageEncryptionKeyFile = secret;
        jwtSecretFile = secret;
      };
      settings = {
        theme = "dark";
        log.level = "info";
        access_control = {
          default_policy = "deny";
          rules = [
            {
              domain = "*.example.org";
              policy = "two_factor";
            }
          ];
        };
        session.cookies = [
          {
            domain = "example.org";
            authelia_url = "https://auth.example.org";
          }
        ];
        storage.local.path = "/var/lib/authelia-main/db.sqlite3";
      };
    };
  };

  forgejo.services.forgejo = {
    enable = true;
    settings = {
      server = {
        DOMAIN = "git.example.org";
        ROOT_URL = "https://git.example.org/";
        HTTP_PORT = 3001;
      };
      service.DISABLE_REGISTRATION = true;
      actions.ENABLED = true;
    };
  };

  headscale.services.headscale = {
    enable = true;
    settings = {
      server_url = "https://vpn.example.org";
      dns = {
        base_domain = "tailnet.example.org";
        nameservers.global = [ "9.9.9.9" ];
      };
      log.level = "warn";
    };
  };

  hedgedoc.services.hedgedoc = {
    enable = true;
    environmentFile = secret;
    settings = {
      domain = "pad.example.org";
      protocolUseSSL = true;
      allowAnonymous = false;
    };
  };

  karakeep = {
    services.karakeep = {
      enable = true;
      extraEnvironment = {
        PORT = "1234";
        DISABLE_SIGNUPS = "true";
      };
    };
  };

  kea = {
    services.kea.dhcp4 = {
      enable = true;
      settings = {
        interfaces-config.interfaces = [ "eth0" ];
        lease-database = {
          type = "memfile";
          persist = true;
          name = "/var/lib/kea/dhcp4.leases";
        };
        valid-lifetime = 4000;
        subnet4 = [
          {
            id = 1;
            subnet = "192.0.2.0/24";
            pools = [ { pool = "192.0.2.100 - 192.0.2.240"; } ];
          }
        ];
      };
    };
  };

  matrix-synapse.services.matrix-synapse = {
    enable = true;
    extraConfigFiles = [ secret ];
    settings = {
      server_name = "example.org";
      public_baseurl = "https://matrix.example.org";
      max_upload_size = "100M";
      enable_registration = false;
      url_preview_enabled = true;
      listeners = [
        {
          port = 8008;
          bind_addresses = [ "127.0.0.1" ];
          type = "http";
          tls = false;
          x_forwarded = true;
          resources = [
            {
              names = [
                "client"
                "federation"
              ];
              compress = false;
            }
          ];
        }
      ];
    };
  };

  mautrix-signal.services.mautrix-signal = {
    enable = true;
    environmentFile = secret;
    settings = {
      homeserver = {
        address = "http://localhost:8008";
        domain = "example.org";
      };
      bridge.permissions."example.org" = "user";
    };
  };

  mautrix-telegram.services.mautrix-telegram = {
    enable = true;
    environmentFile = secret;
    settings = {
      homeserver = {
        address = "http://localhost:8008";
        domain = "example.org";
      };
      bridge.permissions."example.org" = "full";
    };
  };

  mealie.services.mealie = {
    enable = true;
    credentialsFile = secret;
    settings = {
      ALLOW_SIGNUP = "false";
      TZ = "Europe/Berlin";
    };
  };

  miniflux.services.miniflux = {
    enable = true;
    adminCredentialsFile = secret;
    createDatabaseLocally = false;
    config = {
      LISTEN_ADDR = "127.0.0.1:8070";
      POLLING_FREQUENCY = 30;
      CLEANUP_FREQUENCY_HOURS = 48;
    };
  };

  mysql.services.mysql = {
    enable = true;
    package = pkgs.mariadb;
    settings.mysqld = {
      bind-address = "127.0.0.1";
      innodb_buffer_pool_size = "512M";
      max_connections = 200;
      plugin-load-add = [ "server_audit" ];
    };
  };

  n8n = {
    services.n8n = {
      enable = true;
      environment = {
        WEBHOOK_URL = "https://n8n.example.org";
        N8N_PORT = 5679;
        EXECUTIONS_DATA_PRUNE = true;
      };
    };
  };

  ollama = {
    services.ollama = {
      enable = true;
      environmentVariables = {
        OLLAMA_KEEP_ALIVE = "10m";
        OLLAMA_NUM_PARALLEL = "2";
      };
    };
  };

  open-webui = {
    services.open-webui = {
      enable = true;
      environmentFile = secret;
      environment = {
        OLLAMA_API_BASE_URL = "http://127.0.0.1:11434";
        WEBUI_AUTH = "False";
      };
    };
  };

  prowlarr.services.prowlarr = {
    enable = true;
    settings.server.port = 9697;
  };

  radarr.services.radarr = {
    enable = true;
    environmentFiles = [ secret ];
    settings.server.urlbase = "/radarr";
  };

  redis = {
    services.redis.servers.cache = {
      enable = true;
      port = 6380;
      requirePassFile = secret;
      settings = {
        maxmemory = "256mb";
        maxmemory-policy = "allkeys-lru";
      };
    };
  };

  samba.services.samba = {
    enable = true;
    settings = {
      global = {
        workgroup = "WORKGROUP";
        "server string" = "files";
        "hosts allow" = "192.168.0. 127.0.0.1 localhost";
      };
      public = {
        path = "/srv/public";
        browseable = "yes";
        "read only" = false;
        "guest ok" = "yes";
      };
    };
  };

  sonarr.services.sonarr = {
    enable = true;
    settings = {
      server.port = 8990;
      log.level = "debug";
    };
  };

  stalwart.services.stalwart = {
    enable = true;
    settings = {
      server = {
        hostname = "mail.example.org";
        listener.smtp = {
          bind = [ "[::]:25" ];
          protocol = "smtp";
        };
      };
      authentication.fallback-admin = {
        user = "admin";
        secret = "%{file:${secret}}%";
      };
    };
  };

  vaultwarden.services.vaultwarden = {
    enable = true;
    environmentFile = secret;
    config = {
      DOMAIN = "https://vault.example.org";
      SIGNUPS_ALLOWED = false;
      ROCKET_ADDRESS = "127.0.0.1";
      ROCKET_PORT = 8222;
    };
  };
}
