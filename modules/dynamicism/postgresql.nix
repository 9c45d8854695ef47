# PostgreSQL: a reload reads most of the settings, a restart the others: those of the context "postmaster" in pg_settings.
{ config, lib, ... }:
let
  # The unit that sets the databases up connects to the port. Older modules do that in PostgreSQL's own unit.
  connects = config.systemd.services.postgresql-setup.environment.PGPORT or null != null;
  settings = "services.postgresql.settings";
  # pg_settings of PostgreSQL 14 to 17, and what extensions that are loaded at the start have of such.
  atStart = [
    "archive_mode"
    "autovacuum_freeze_max_age"
    "autovacuum_max_workers"
    "autovacuum_multixact_freeze_max_age"
    "bonjour"
    "bonjour_name"
    "cluster_name"
    "commit_timestamp_buffers"
    "config_file"
    "data_directory"
    "data_sync_retry"
    "debug_io_direct"
    "dynamic_shared_memory_type"
    "event_source"
    "external_pid_file"
    "hba_file"
    "hot_standby"
    "huge_page_size"
    "huge_pages"
    "ident_file"
    "ignore_invalid_pages"
    "jit_provider"
    "listen_addresses"
    "logging_collector"
    "max_connections"
    "max_files_per_process"
    "max_locks_per_transaction"
    "max_logical_replication_workers"
    "max_notify_queue_pages"
    "max_pred_locks_per_transaction"
    "max_prepared_transactions"
    "max_replication_slots"
    "max_wal_senders"
    "max_worker_processes"
    "min_dynamic_shared_memory"
    "multixact_member_buffers"
    "multixact_offset_buffers"
    "notify_buffers"
    "old_snapshot_threshold"
    "port"
    "recovery_target"
    "recovery_target_action"
    "recovery_target_inclusive"
    "recovery_target_lsn"
    "recovery_target_name"
    "recovery_target_time"
    "recovery_target_timeline"
    "recovery_target_xid"
    "reserved_connections"
    "serializable_buffers"
    "shared_buffers"
    "shared_memory_type"
    "shared_preload_libraries"
    "subtransaction_buffers"
    "summarize_wal"
    "superuser_reserved_connections"
    "trace_connection_negotiation"
    "track_activity_query_size"
    "track_commit_timestamp"
    "transaction_buffers"
    "unix_socket_directories"
    "unix_socket_group"
    "unix_socket_permissions"
    "wal_buffers"
    "wal_decode_buffer_size"
    "wal_level"
    "wal_log_hints"
  ];
in
{
  dynamicism.shipped.postgresql = {
    # The link in the data directory is made before the start, and leads to the file that is bound.
    units."postgresql.service" = {
      onChange = "reload";
      restartFor = map (name: "${settings}.${name}") atStart;
    };
    units."postgresql-setup.service" = lib.mkIf connects { };
    dropIns."postgresql-setup.service" = lib.mkIf connects ''
      [Service]
      Environment={{ ${settings}.port | assignment("PGPORT") }}
    '';
    pinned =
      lib.optional (!connects) {
        path = "${settings}.port";
        reason = "the unit connects to it when it has started; set it with a rebuild";
      }
      ++ [
        {
          path = "${settings}.jit";
          reason = "the unit may not write to memory that it executes if it is \"off\"; set it with a rebuild";
        }
      ];
  };
}
