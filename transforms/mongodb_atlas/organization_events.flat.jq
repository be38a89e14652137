# A MongoDB Atlas organisation event as one flat row in snake_case, for tables and searches.
#
# Input:   one organisation event (object). Without a readable `created` or an `eventTypeName`
#          the event fails: a row that cannot be placed in time would be lost unseen.
# Output:  an object of the members below. A member whose value would be null is left out;
#          only time, event_type, category and actor_type are always there.
#
#   time                 integer   milliseconds since 1970 (UTC)
#   event_id             string
#   event_type           string    as the source names it
#   category             string    account | api_key | team | federation | network | billing |
#                                  alert | database_user | settings | other
#   severity             string    as in raw
#   description          string    as in raw
#   actor_type           string    user | api_key | service_account | unknown
#   actor_id, actor_name           string
#   api_key_id, public_key         string    the key used, also where a user is named beside it
#   delegate_id, delegate_name     string    an application that acted for the actor
#   on_behalf_of_id, on_behalf_of_name   string
#   is_mongodb_employee  boolean
#   source_ip            string    IPv4 or IPv6
#   org_id, project_id   string
#   target               string    what the event was done to: the most telling name or id
#   team_id, access_list_entry, invoice_id, payment_id, alert_id, alert_config_id,
#   resource_type, resource_id, resource_policy_id   string
#   metric_name          string
#   metric_value         number    with metric_units (string)
#   raw                  object    untouched, the only member that is not flat
#
# Dropped on purpose: `links` (the event's own address in the API, which its id tells as well),
# a chain of delegation past its first link, and members that only project events carry (cluster,
# host, database, collection). A member the source adds later is dropped until it is named here.

# First match wins, so narrow families stand above broad prefixes: an access list of an API key is a
# network matter, a credit card about to expire an alert. What matches nowhere is "other": the
# source adds types often, and a new one must not fail the event.
def categories: [
  ["network",       "ACCESS_LIST|WHITELIST|^NETWORK_PERMISSION_|^PRIVATE_NETWORK_|(^|_)PEER_"],
  ["alert",         "^ALERT_|_THRESHOLD$|_CHANGE_NORMAL$|_ABOUT_TO_EXPIRE$|_(CARD|CERTIFICATE)_CURRENT$"],
  ["alert",         "_SECRETS_(NO_LONGER_)?EXPIR(ED|ING)$|ORG_USERS_(WITHOUT|HAVE)_MFA$"],
  ["database_user", "^MONGODB_(USER|ROLE)_"],
  ["api_key",       "API_KEY|SERVICE_ACCOUNT|^OAUTH_"],
  ["team",          "(^|_)TEAM(_|$)"],
  ["federation",    "IDENTITY_PROVIDER|^FEDERATION_|^ROLE_MAPPING_|^DOMAINS?_|^RESTRICT_ORG_MEMBERSHIP_"],
  ["account",       "^(USER|INVITED|JOINED|JOIN|REMOVED)_|_INVITATION_|EMPLOYEE_ACCESS"],
  ["billing",       "BILL|INVOIC|PAYMENT|CHARGE|CREDIT|REFUND|PAYPAL|BANK_ACCOUNT|WALLET|USAGE_REPORTED"],
  ["billing",       "DISCOUNT|PROMO_CODE|PREPAID|EVERGREEN|_DEAL_|CONSULTING|SUPPORT_PLAN|PAID_SERVICES"],
  ["billing",       "^ACCOUNT_|SELF_SERVE_ACCOUNT|PAYING_ORG|LINKED_ORG$|_UNLINK_|FINANCIAL|GRACE_PERIOD"],
  ["settings",      "^(ORG|ORGANIZATION|GROUP|RESOURCE_POLICY|CUSTOM_SESSION|SANDBOX|SHADOW_CLUSTER_ORG)_"],
  ["settings",      "_CONTACT_MODIFIED$|TAGS_MODIFIED$"]
];

def category:
  .eventTypeName as $type
  | first(categories[] | .[1] as $pattern | select($type | test($pattern)) | .[0]) // "other";

# Who did it. The source names a user or a key; where a record names both, the user is the actor.
# No member tells a service account from a key; only its client id does, by a fixed prefix.
def actor:
  if .userId != null or .username != null then { type: "user", id: .userId, name: .username }
  elif .apiKeyId != null or .publicKey != null then { type: "api_key", id: .apiKeyId, name: .publicKey }
  else { type: "unknown" }
  end
  | if any(.id, .name; . != null and startswith("mdb_sa_id_")) then .type = "service_account" else . end;

# `created` comes with and without a fraction, with `Z`, `+00:00` or `+0000`. The engine reads all
# of them and gives a fraction as a float, hence `round`: cutting off would lose a millisecond
# here and there.
def epoch_ms: fromdateiso8601 * 1000 | round;

actor as $actor
| {
  time: (.created | epoch_ms),
  event_id: .id,
  event_type: .eventTypeName,
  category: category,
  severity: .raw.severity,
  description: .raw.description,
  actor_type: $actor.type,
  actor_id: $actor.id,
  actor_name: $actor.name,
  api_key_id: .apiKeyId,
  public_key: .publicKey,
  delegate_id: .delegatePrincipal.id,
  delegate_name: .delegatePrincipal.name,
  on_behalf_of_id: .delegatePrincipal.onBehalfOf.id,
  on_behalf_of_name: .delegatePrincipal.onBehalfOf.name,
  is_mongodb_employee: .isGlobalAdmin,
  source_ip: .remoteAddress,
  org_id: .orgId,
  project_id: .groupId,
  target: (.targetUsername // .targetPublicKey // .dbUserUsername // .whitelistEntry // .teamId
    // .resourceId // .resourcePolicyId),
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
  metric_value: .currentValue.number,
  metric_units: .currentValue.units,
  raw: .raw
}
| with_entries(select(.value != null))
