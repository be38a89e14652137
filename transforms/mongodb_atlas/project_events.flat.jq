# A MongoDB Atlas project event as one flat row in snake_case, for tables and searches.
#
# Input:   one project event (object). Without a readable `created` or an `eventTypeName`
#          the event fails: a row that cannot be placed in time would be lost unseen.
# Output:  an object of the members below. A member whose value would be null is left out;
#          only time, event_type, category and actor_type are always there.
#
#   time                 integer   milliseconds since 1970 (UTC)
#   event_id             string
#   event_type           string    as the source names it
#   category             string    account | api_key | team | federation | network | billing |
#                                  alert | database_user | settings | data | cluster | backup | other
#   severity             string    as in raw
#   description          string    as in raw
#   actor_type           string    user | api_key | service_account | unknown
#   actor_id, actor_name           string
#   api_key_id, public_key         string    the key used, also where a user is named beside it
#   delegate_id, delegate_name     string    an application that acted for the actor
#   on_behalf_of_id, on_behalf_of_name   string
#   is_mongodb_employee  boolean
#   source_ip            string    IPv4 or IPv6, as the source has it
#   org_id, project_id   string
#   target               string    what the event was done to: the most telling name or id
#   target_username, target_public_key, database_username   string
#   team_id, access_list_entry, invoice_id, payment_id, alert_id, alert_config_id,
#   resource_type, resource_id, resource_policy_id   string
#   metric_name          string
#   metric_value         number    with metric_units (string)
#   cluster, host, host_alias, replica_set, shard   string
#   port                 integer
#   database, collection, operation, session_id   string    data that was looked at or changed
#   endpoint_id, provider_endpoint_id   string
#   stream_workspace, stream_processor, processor_state, processor_error, modified_by,
#   from_tier, to_tier, region, reason   string    stream processing
#   employee, employee_desk   string    of MongoDB
#   violation_action     string
#   violated_policies    string    ids, separated by spaces
#   raw                  object    untouched
#   rest                 object    members that have no column: what the source adds later
#
# Only `raw` and `rest` are not flat. Dropped on purpose: `links`, the event's own address in the API, which its
# id tells as well.

import "ocsf" as ocsf;
import "atlas_flat" as atlas;

# Columns that only project events have.
def project_columns: {
  cluster: .clusterName,
  host: .hostname,
  port: .port,
  host_alias: .userAlias,
  replica_set: .replicaSetName,
  shard: .shardName,
  database: .database,
  collection: .collection,
  operation: .opType,
  session_id: .sessionId,
  endpoint_id: .endpointId,
  provider_endpoint_id: .providerEndpointId,
  stream_workspace: .instanceName,
  stream_processor: .processorName,
  processor_state: .processorState,
  processor_error: .processorErrorMsg,
  modified_by: .modifiedBy,
  from_tier: .fromTier,
  to_tier: .toTier,
  region: .region,
  reason: .reason,
  employee: .employeeIdentifier,
  employee_desk: .deskLocation,
  violation_action: .violationAction,
  violated_policies: (.violatedPolicies | if type == "array" and . != [] then map(tostring) | join(" ") else ocsf::some end)
} | ocsf::prune;

atlas::common
+ project_columns
+ ({
    raw: (.raw | ocsf::some),
    rest: (
      atlas::without_common
      | del(
          .clusterName, .hostname, .port, .userAlias, .replicaSetName, .shardName,
          .database, .collection, .opType, .sessionId, .endpointId, .providerEndpointId,
          .instanceName, .processorName, .processorState, .processorErrorMsg, .modifiedBy, .fromTier,
          .toTier, .region, .reason, .employeeIdentifier, .deskLocation, .violationAction,
          .violatedPolicies
        )
      | ocsf::some
    )
  } | ocsf::prune)
