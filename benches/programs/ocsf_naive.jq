# The mapping of ocsf.jq, pruned the way it is mostly written: a `walk` over all that was built,
# `unmapped` included.
def activities:
  { USER_ROLES_CHANGED_AUDIT: 2, INVITED_TO_ORG: 1, JOINED_ORG: 1, REMOVED_FROM_ORG: 3, API_KEY_CREATED: 1,
    API_KEY_DELETED: 4, API_KEY_ACCESS_LIST_ENTRY_ADDED: 3, TEAM_CREATED: 1, JOINED_TEAM: 3, ORG_RENAMED: 3,
    GROUP_CREATED: 1, GROUP_DELETED: 4, IDENTITY_PROVIDER_CREATED: 1 };
def captions: { "0": "Unknown", "1": "Create", "2": "Read", "3": "Update", "4": "Delete", "99": "Other" };
def severities: { INFO: 1, WARNING: 3, ERROR: 4, CRITICAL: 5 };

. as $event
| (activities[.eventTypeName] // 99) as $activity
| (severities[.raw.severity] // 0) as $severity
| {
    activity_id: $activity,
    activity_name: (captions[$activity | tostring] // .eventTypeName),
    category_uid: 6,
    category_name: "Application Activity",
    class_uid: 6003,
    class_name: "API Activity",
    type_uid: (600300 + $activity),
    severity_id: $severity,
    severity: .raw.severity,
    time: (.created | fromdateiso8601 * 1000 | round),
    message: .raw.description,
    status_id: 1,
    metadata: {
      version: "1.8.0",
      uid: .id,
      original_time: .created,
      log_name: "organization_events",
      event_code: .eventTypeName,
      tenant_uid: .orgId,
      product: { name: "MongoDB Atlas", vendor_name: "MongoDB" }
    },
    actor: {
      user: {
        name: (.username // .publicKey),
        uid: (.userId // .apiKeyId),
        type_id: (if .apiKeyId then 3 else 1 end)
      }
    },
    src_endpoint: { ip: .remoteAddress },
    api: {
      operation: .eventTypeName,
      service: { name: "Atlas Administration API" }
    },
    resources: [
      ({ uid: .groupId, name: .raw.gn, type: "project" } | select(.uid)),
      ({ uid: .orgId, name: .raw.orgName, type: "organization" } | select(.uid)),
      ({ name: .targetUsername, type: "user" } | select(.name))
    ],
    unmapped: ($event | del(.created, .eventTypeName, .id, .orgId, .groupId, .username, .publicKey, .userId,
      .apiKeyId, .remoteAddress, .targetUsername, .raw.severity, .raw.description, .raw.gn, .raw.orgName,
      .raw.id, .raw.orgId))
  }
| walk(if type == "object" then with_entries(select(.value != null)) else . end)
