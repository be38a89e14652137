# Organisation audit events of Atlassian as OCSF: nested input, arrays mapped one by one, literal
# tables, pruning, and the rest under `unmapped`. Runs in every jq since 1.6.
def kinds:
  { user_login_event: [3002, 1], user_added_to_group: [3006, 3], user_removed_from_group: [3006, 4],
    group_deleted: [3006, 5], group_created: [3006, 6], user_granted_role: [3005, 1],
    user_revoked_role: [3005, 2], jira_project_roles_changed: [3005, 99], policy_updated: [6003, 3],
    api_key_created: [6003, 1], api_key_deleted: [6003, 4] };
def classes: { "3002": "Authentication", "3005": "User Access", "3006": "Group Management", "6003": "API Activity" };
def categories: { "3": "Identity & Access Management", "6": "Application Activity" };
def captions:
  { "300201": "Logon", "300501": "Assign Privileges", "300502": "Revoke Privileges", "300603": "Add User",
    "300604": "Remove User", "300605": "Delete", "300606": "Create", "600301": "Create", "600303": "Update",
    "600304": "Delete" };
def prune: with_entries(select(.value != null));
# jq 1.6 reads no fractions of a second
def epoch_ms: (.[:19] + "Z" | fromdateiso8601) * 1000 + (.[20:-1] + "000" | .[:3] | tonumber);
def resource: { uid: .id, name: .attributes.name, type } | prune;

. as $event
| .attributes as $a
| (kinds[$a.action] // [6003, 99]) as [$class, $activity]
| ($class * 100 + $activity) as $type
| {
    activity_id: $activity,
    activity_name: (captions[$type | tostring] // $a.action),
    category_uid: ($class / 1000 | floor),
    category_name: categories[$class / 1000 | floor | tostring],
    class_uid: $class,
    class_name: classes[$class | tostring],
    type_uid: $type,
    severity_id: 1,
    severity: "Informational",
    status_id: 1,
    time: ($a.time | epoch_ms),
    message: .message.content,
    metadata: ({
      version: "1.8.0",
      uid: .id,
      original_time: $a.time,
      processed_time: ($a.processedAt | epoch_ms),
      log_name: "organization_events",
      event_code: $a.action,
      tenant_uid: $a.container[0].id,
      product: { name: "Atlassian Organization", vendor_name: "Atlassian" }
    } | prune),
    actor: {
      user: ({
        name: $a.actor.name,
        uid: $a.actor.id,
        # apps say "Atlassian app" where an address belongs
        email_addr: ($a.actor.email | select(contains("@")) // null),
        type_id: (if $a.actor.auth then 1 else 3 end),
        credential_uid: $a.actor.auth.tokenId
      } | prune)
    },
    src_endpoint: (if $a.location then {
      ip: $a.location.ip,
      location: ({
        city: $a.location.city,
        region: $a.location.regionName,
        coordinates: ($a.location.geo | split(",") | map(tonumber) | reverse)
      } | prune)
    } | prune else null end),
    api: { operation: $a.action, service: { name: "Atlassian Administration" } },
    resources: [($a.context // [] | .[]), ($a.container // [] | .[]) | resource],
    # jaq leaves a null where it looked for something to delete, so what may be missing is asked for
    unmapped: ($event | del(.id, .type, .message, (.attributes | .time, .processedAt, .action,
      (.actor | .id, .name, (select(.auth) | .auth.tokenId)),
      (select(.location) | .location | .ip, .city, .regionName, .geo),
      (select(.context) | .context[] | .id, .attributes.name),
      (select(.container) | .container[] | .id, .attributes.name))))
  }
| prune
