# Events of MongoDB Atlas as flat rows: what the programs for organisation and project events share.

import "ocsf" as ocsf;
import "atlas_event_types" as event_types;

# What a row calls the families of event types.
def categories: {
  user: "account", employee_access: "account", employee_ssh: "account",
  api_key: "api_key", service_account: "api_key", oauth: "api_key",
  team: "team",
  federation: "federation", identity_provider: "federation", role_mapping: "federation", domain: "federation",
  membership: "federation",
  access_list: "network", network: "network",
  billing: "billing",
  alert: "alert", alert_config: "alert",
  database_user: "database_user", database_role: "database_user",
  organization: "settings", project: "settings", settings: "settings", security_settings: "settings",
  two_factor: "settings", resource_policy: "settings", auditing: "settings", log_export: "settings",
  encryption: "settings", features: "settings", integration: "settings", data_explorer: "settings",
  data_access: "data", logs: "data",
  cluster: "cluster", scaling: "cluster", automation: "cluster", maintenance: "cluster", serverless: "cluster",
  index: "cluster", search: "cluster", data_federation: "cluster", stream: "cluster", charts: "cluster",
  migration: "cluster",
  backup: "backup"
};

# A type of a family that is not there, or of none, is "other": a new type must not fail the event.
def category: categories[event_types::family // ""] // "other";

# Who did it. The source names a user or a key; where a record names both, the user is the actor. No member
# tells a service account from a key; only its client id does, by a fixed prefix.
def actor:
  if .userId != null or .username != null then { type: "user", id: .userId, name: .username }
  elif .apiKeyId != null or .publicKey != null then { type: "api_key", id: .apiKeyId, name: .publicKey }
  else { type: "unknown" }
  end
  | if any(.id, .name; type == "string" and startswith("mdb_sa_id_")) then .type = "service_account" else . end;

# The members that both streams have. Of a member that ought to be an object and is not, nothing is read; `rest`
# still has it.
def common:
  actor as $actor
  | (.raw | ocsf::object) as $raw
  | (.delegatePrincipal | ocsf::object) as $delegate
  | ($delegate.onBehalfOf | ocsf::object) as $on_behalf_of
  | (.currentValue | ocsf::object) as $value
  | {
      time: (.created | ocsf::time),
      event_id: .id,
      event_type: .eventTypeName,
      category: (
        if .eventTypeName | type == "string" then .eventTypeName | category
        else error("an event has no `eventTypeName`")
        end
      ),
      severity: $raw.severity,
      description: $raw.description,
      actor_type: $actor.type,
      actor_id: $actor.id,
      actor_name: $actor.name,
      api_key_id: .apiKeyId,
      public_key: .publicKey,
      delegate_id: $delegate.id,
      delegate_name: $delegate.name,
      on_behalf_of_id: $on_behalf_of.id,
      on_behalf_of_name: $on_behalf_of.name,
      is_mongodb_employee: .isGlobalAdmin,
      source_ip: .remoteAddress,
      org_id: .orgId,
      project_id: .groupId,
      target: (
        .targetUsername // .targetPublicKey // .dbUserUsername // .whitelistEntry // .clusterName // .hostname
        // .processorName // .instanceName // .endpointId // .teamId // .resourceId // .resourcePolicyId
      ),
      target_username: .targetUsername,
      target_public_key: .targetPublicKey,
      database_username: .dbUserUsername,
      team_id: .teamId,
      access_list_entry: .whitelistEntry,
      invoice_id: .invoiceId,
      payment_id: .paymentId,
      alert_id: .alertId,
      alert_config_id: .alertConfigId,
      resource_type: .resourceType,
      resource_id: .resourceId,
      resource_policy_id: .resourcePolicyId,
      metric_name: .metricName,
      metric_value: $value.number,
      metric_units: $value.units
    }
  | ocsf::prune;

# The members that are columns of both. What is left of a record without them is its `rest`.
def without_common:
  del(
    .created, .id, .eventTypeName, .userId, .username, .apiKeyId, .publicKey, .isGlobalAdmin, .remoteAddress,
    .orgId, .groupId, .targetUsername, .targetPublicKey, .dbUserUsername, .teamId, .whitelistEntry,
    .invoiceId, .paymentId, .alertId, .alertConfigId, .resourceType, .resourceId, .resourcePolicyId,
    .metricName, .raw, .links,
    (.currentValue | objects), (.delegatePrincipal | objects | .id), (.delegatePrincipal | objects | .name),
    (.delegatePrincipal | objects | .onBehalfOf | objects | .id),
    (.delegatePrincipal | objects | .onBehalfOf | objects | .name)
  )
  | del(.delegatePrincipal | objects | .onBehalfOf | select(. == {} or . == null))
  | del(.delegatePrincipal | select(. == {}));
